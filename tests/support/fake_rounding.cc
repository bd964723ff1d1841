// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"
#include "support/fake_device.h"
#include "support/host_rounding.h"

namespace quamba2::testing {
namespace {

// Puts a kernel of the host into the stream; `memory` is what it reads and writes.
template <class... Args, class... Memory>
void launch(void (*kernel)(Args...), const Stream& stream, std::tuple<Memory...> memory, auto... values) {
  auto* api = static_cast<FakeDeviceApi*>(stream.device);
  std::apply(
      [&](auto*... address) {
        for (const void* p : {static_cast<const void*>(address)...})
          QUAMBA2_CHECK(!p || api->owns(p), "a kernel of the quantizer is given memory that is not the device's");
      },
      memory);
  api->launch([=] { kernel(values..., Stream{}); });
}

auto memory_of(const WeightRows& r) { return std::make_tuple(r.w, r.codes, r.q, r.scales, r.row_scales); }

RoundingKernels make() {
  RoundingKernels k = host_rounding();
  k.multiply = [](const ProductArgs& p, const Stream& s) {
    if (p.m * p.n > 0) launch(host_rounding().multiply, s, std::make_tuple(p.a, p.b, p.c), p);
  };
  k.add_gram = [](const float* x, int64_t rows, int64_t n, float* sum, const Stream& s) {
    launch(host_rounding().add_gram, s, std::make_tuple(x, sum), x, rows, n, sum);
  };
  k.factorize = [](const FactorArgs& p, const Stream& s) {
    launch(host_rounding().factorize, s, std::make_tuple(p.sum, p.order, p.h, p.l, p.failed, p.scratch), p);
  };
  k.choose_scales = [](const WeightRows& r, bool least, const Stream& s) {
    launch(host_rounding().choose_scales, s, memory_of(r), r, least);
  };
  k.round_nearest = [](const WeightRows& r, const Stream& s) {
    launch(host_rounding().round_nearest, s, memory_of(r), r);
  };
  k.order_columns = [](const WeightRows& r, const int32_t* order, float* out, const Stream& s) {
    launch(host_rounding().order_columns, s, std::make_tuple(r.w, order, out), r, order, out);
  };
  k.round_block = [](const BlockArgs& p, const Stream& s) {
    launch(host_rounding().round_block, s,
           std::tuple_cat(memory_of(p.rows), std::make_tuple(p.order, p.l, p.ordered, p.errors)), p);
  };
  k.residual = [](const WeightRows& r, float* out, const Stream& s) {
    launch(host_rounding().residual, s, std::tuple_cat(memory_of(r), std::make_tuple(out)), r, out);
  };
  k.losses = [](const WeightRows& r, const float* gradient, double* out, const Stream& s) {
    launch(host_rounding().losses, s, std::tuple_cat(memory_of(r), std::make_tuple(gradient, out)), r, gradient, out);
  };
  k.normal_row = [](const NormalArgs& p, const Stream& s) {
    launch(host_rounding().normal_row, s,
           std::tuple_cat(memory_of(p.rows), std::make_tuple(p.product, p.wanted, p.a, p.b)), p);
  };
  k.fit_scales = [](const NormalArgs& p, const Stream& s) {
    launch(host_rounding().fit_scales, s, std::tuple_cat(memory_of(p.rows), std::make_tuple(p.a, p.b)), p);
  };
  k.descend_block = [](const DescentArgs& p, const Stream& s) {
    launch(host_rounding().descend_block, s,
           std::tuple_cat(memory_of(p.rows), std::make_tuple(p.h, p.gradient, p.moves)), p);
  };
  k.keep_better = [](const WeightRows& r, const WeightRows& kept, const double* now, double* best, const Stream& s) {
    launch(host_rounding().keep_better, s, std::tuple_cat(memory_of(r), memory_of(kept), std::make_tuple(now, best)), r,
           kept, now, best);
  };
  k.codes_to_bytes = [](const float* codes, int64_t count, int8_t* bytes, const Stream& s) {
    launch(host_rounding().codes_to_bytes, s, std::make_tuple(codes, bytes), codes, count, bytes);
  };
  k.widen = [](const float* x, int64_t rows, int64_t columns, int64_t stride, float* range, const Stream& s) {
    launch(host_rounding().widen, s, std::make_tuple(x, range), x, rows, columns, stride, range);
  };
  k.take_diagonal = [](const float* sum, int64_t n, float* out, const Stream& s) {
    launch(host_rounding().take_diagonal, s, std::make_tuple(sum, out), sum, n, out);
  };
  k.find_not_finite = [](const float* x, int64_t count, int32_t* flag, const Stream& s) {
    launch(host_rounding().find_not_finite, s, std::make_tuple(x, flag), x, count, flag);
  };
  return k;
}

}  // namespace

const RoundingKernels& fake_rounding() {
  static const RoundingKernels kernels = make();
  return kernels;
}

}  // namespace quamba2::testing
