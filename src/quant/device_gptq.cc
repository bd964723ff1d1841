// SPDX-License-Identifier: Apache-2.0
#include "quant/device_gptq.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "base/check.h"
#include "quamba2/error.h"
#include "quant/device_rows.h"

namespace quamba2 {
namespace {

std::string gigabytes(size_t bytes) {
  char out[48];
  std::snprintf(out, sizeof out, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return out;
}

void check_room(const Device& device, size_t needed, const std::string& name, const std::string& what) {
  const size_t available = device.free_bytes();
  if (needed <= available) return;
  throw Error(ErrorCode::kResource, "not enough memory on the device", name,
              gigabytes(needed) + " are needed to " + what + ", " + gigabytes(available) + " are free",
              "end other programs that use it, read fewer --calib-samples, or use --device cpu");
}

size_t factor_bytes(int64_t k, const RoundingKernels& kernels) {
  return static_cast<size_t>(2 * k * k) * sizeof(float) + static_cast<size_t>(k) * 8 + 4 +
         kernels.factor_scratch(k) * sizeof(double);
}

// Columns with the largest inputs first.
std::vector<int32_t> column_order(const std::vector<float>& diagonal, bool act_order) {
  std::vector<int32_t> order(diagonal.size());
  std::iota(order.begin(), order.end(), 0);
  if (act_order) {
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return diagonal[static_cast<size_t>(a)] > diagonal[static_cast<size_t>(b)];
    });
  }
  return order;
}

class Factorization {
 public:
  Factorization(const std::string& name, const DeviceHessian& hessian, const Backend& backend)
      : name_(name), hessian_(hessian), backend_(backend), device_(*backend.device()), kernels_(*backend.rounding()) {}

  DeviceFactor run(const GptqOptions& options) {
    const int64_t k = hessian_.size;
    flag_ = Storage(&device_, sizeof(int32_t));
    if (!finite(floats(hessian_.sum))) fail("an input of it became NaN or infinite on the calibration text");
    const std::vector<float> diagonal = taken_diagonal();
    const std::vector<int32_t> order = column_order(diagonal, options.act_order);
    double mean = 0;
    for (float v : diagonal) mean += static_cast<double>(v) / static_cast<double>(k);
    DeviceFactor f;
    f.size = k;
    f.order = Storage(&device_, order.size() * sizeof(int32_t));
    device_.upload(f.order.data(), order.data(), order.size() * sizeof(int32_t));
    f.h = Storage(&device_, static_cast<size_t>(k * k) * sizeof(float));
    f.l = Storage(&device_, static_cast<size_t>(k * k) * sizeof(float));
    const Storage scratch(&device_, kernels_.factor_scratch(k) * sizeof(double));
    FactorArgs args{k,
                    floats(hessian_.sum),
                    static_cast<const int32_t*>(f.order.data()),
                    mean > 0 ? mean : 1.0,
                    0,
                    floats(f.h),
                    floats(f.l),
                    static_cast<int32_t*>(flag_.data()),
                    static_cast<double*>(scratch.data())};
    for (f.damp = options.damp; f.damp < 100; f.damp = std::max(f.damp * 10, 1e-4)) {
      args.added = f.damp * mean;
      kernels_.factorize(args, backend_.stream());
      device_.check_launch("a factorization");
      if (flag() == 0 && finite(args.l)) return f;
    }
    fail("the matrix of its inputs is singular whatever is added to its diagonal");
  }

 private:
  static float* floats(const Storage& s) { return static_cast<float*>(s.data()); }
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorCode::kRuntime, "weights cannot be rounded by their inputs", name_, why,
                "use other or more calibration text, or skip the pass gptq");
  }
  int32_t flag() const {
    int32_t out = 0;
    device_.download(&out, flag_.data(), sizeof out);
    return out;
  }
  bool finite(const float* matrix) {
    device_.zero(flag_.data(), flag_.size());
    kernels_.find_not_finite(matrix, hessian_.size * hessian_.size, static_cast<int32_t*>(flag_.data()),
                             backend_.stream());
    return flag() == 0;
  }
  std::vector<float> taken_diagonal() const {
    std::vector<float> out(static_cast<size_t>(hessian_.size));
    const Storage diagonal(&device_, out.size() * sizeof(float));
    kernels_.take_diagonal(floats(hessian_.sum), hessian_.size, floats(diagonal), backend_.stream());
    device_.download(out.data(), diagonal.data(), diagonal.size());
    return out;
  }

  const std::string& name_;
  const DeviceHessian& hessian_;
  const Backend& backend_;
  Device& device_;
  const RoundingKernels& kernels_;
  Storage flag_;
};

}  // namespace

size_t gptq_bytes(int64_t rows, int64_t columns, const Format& format, const RoundingKernels& kernels) {
  const size_t sum = static_cast<size_t>(columns * columns) * sizeof(float);
  const size_t factor = factor_bytes(columns, kernels), kept = 2 * sum;
  const int64_t at_a_time = DeviceRows::rows_at_a_time(rows, columns, format);
  return sum + std::max(factor, kept + DeviceRows::bytes(at_a_time, columns, format, true));
}

Weight gptq_encode(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                   const Format& format, const DeviceHessian& hessian, const GptqOptions& options,
                   const Backend& backend, const Stream& host, GptqReport* report) {
  QUAMBA2_CHECK(shape.size() == 2 && shape[1] == hessian.size && format.levels > 0, name);
  const int64_t n = shape[0], k = shape[1];
  check_room(*backend.device(), gptq_bytes(n, k, format, *backend.rounding()) - hessian.sum.size(), name, "round it");
  const DeviceFactor factor = Factorization(name, hessian, backend).run(options);
  Weight out = empty_weight(name, shape, format);
  const int64_t chunk = DeviceRows::rows_at_a_time(n, k, format);
  DeviceRows rows(backend, chunk, k, format, true);
  double loss = 0, rounding = 0, zero = 0;
  for (int64_t begin = 0; begin < n; begin += chunk) {
    rows.load(values.data() + begin * k, std::min(chunk, n - begin));
    zero += rows.zero_loss(factor);
    rows.choose_scales(options.scales);
    rows.round_nearest();
    rounding += rows.loss(factor);
    rows.gptq_round(factor);
    loss += rows.refine(factor, options.refinements);
    rows.store(&out, begin, host);
  }
  zero = std::max(zero, 1e-300);
  if (report) *report = {std::sqrt(loss / zero), std::sqrt(rounding / zero), factor.damp};
  return out;
}

void require_memory(const Graph& model, int64_t tokens, const Backend& backend) {
  Format format;  // the one that takes most beside the weights: small groups
  format.storage = DType::kI4;
  format.levels = 2;
  format.level[0] = {Grain::kGroup, 128, DType::kF16};
  size_t most = 0;
  for (const Node& node : model.nodes) {
    if (node.op != Op::kLinear) continue;
    const Tensor& values = model.weights[static_cast<size_t>(node.weights[0])].values;
    most = std::max(most, gptq_bytes(values.dim(0), values.dim(1), format, *backend.rounding()));
  }
  const Weight& table = model.weights[static_cast<size_t>(model.nodes[0].weights[0])];
  const auto stream = static_cast<size_t>(tokens * table.values.dim(1)) * sizeof(float);
  check_room(*backend.device(), stream + most, "",
             "quantize this model (calibration text " + gigabytes(stream) + ", rounding " + gigabytes(most) + ")");
}

Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                     const Format& format, ScaleChoice choice, const Backend& backend, const Stream& host) {
  Weight out = empty_weight(name, shape, format);
  const int64_t n = shape[0], k = shape[1], chunk = DeviceRows::rows_at_a_time(n, k, format);
  check_room(*backend.device(), DeviceRows::bytes(chunk, k, format, false), name, "round it");
  DeviceRows rows(backend, chunk, k, format, false);
  for (int64_t begin = 0; begin < n; begin += chunk) {
    rows.load(values.data() + begin * k, std::min(chunk, n - begin));
    rows.choose_scales(choice);
    rows.round_nearest();
    rows.store(&out, begin, host);
  }
  return out;
}

}  // namespace quamba2
