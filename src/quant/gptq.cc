// SPDX-License-Identifier: Apache-2.0
#include "quant/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "quamba2/error.h"
#include "quant/gptq_rows.h"

namespace quamba2 {
namespace {

// Rows that are in memory at a time, besides the weight itself: some 16 M numbers.
constexpr int64_t kNumbers = int64_t{1} << 24;
constexpr int kSweeps = 2;

[[noreturn]] void singular(const std::string& name, const std::string& why) {
  throw Error(ErrorCode::kRuntime, "weights cannot be rounded by their inputs", name, why,
              "use other or more calibration text, or skip the pass gptq");
}

// Damped, both triangles. Inputs that are always zero get a diagonal of one: their weights are rounded by themselves.
std::vector<double> damped(const Hessian& hessian, double damp) {
  const auto k = static_cast<size_t>(hessian.size);
  std::vector<double> h(k * k);
  double mean = 0;
  for (size_t i = 0; i < k; ++i) mean += static_cast<double>(hessian.sum[i * k + i]) / static_cast<double>(k);
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = i; j < k; ++j) h[i * k + j] = h[j * k + i] = static_cast<double>(hessian.sum[i * k + j]);
    if (h[i * k + i] == 0) h[i * k + i] = mean > 0 ? mean : 1.0;
    h[i * k + i] += damp * mean;
  }
  return h;
}

std::vector<int32_t> column_order(const Hessian& hessian, bool act_order) {
  std::vector<int32_t> order(static_cast<size_t>(hessian.size));
  std::iota(order.begin(), order.end(), 0);
  const auto diagonal = [&](int32_t i) {
    return hessian.sum[static_cast<size_t>(i) * static_cast<size_t>(hessian.size) + static_cast<size_t>(i)];
  };
  if (act_order) {
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return diagonal(a) > diagonal(b); });
  }
  return order;
}

GptqFactor factorize(const std::string& name, const Hessian& hessian, const GptqOptions& options) {
  for (float v : hessian.sum) {
    if (!std::isfinite(v)) singular(name, "an input of it became NaN or infinite on the calibration text");
  }
  GptqFactor f;
  f.size = hessian.size;
  f.order = column_order(hessian, options.act_order);
  const auto k = static_cast<size_t>(f.size);
  for (f.damp = options.damp; f.damp < 100; f.damp = std::max(f.damp * 10, 1e-4)) {
    const std::vector<double> h = damped(hessian, f.damp);
    std::vector<double> ordered(k * k);
    for (size_t i = 0; i < k; ++i) {
      const double* row = h.data() + static_cast<size_t>(f.order[i]) * k;
      for (size_t j = 0; j < k; ++j) ordered[i * k + j] = row[f.order[j]];
    }
    if (!inverse_cholesky(ordered, f.size, &f.l)) continue;
    f.h.assign(h.begin(), h.end());
    return f;
  }
  singular(name, "the matrix of its inputs is singular whatever is added to its diagonal");
}

void refine(GptqRows* rows, int rounds) {
  std::vector<double> losses = row_losses(*rows);
  const int64_t k = rows->columns();
  for (int round = 0; round < rounds; ++round) {
    const std::vector<RowScales> scales = rows->scales;
    const std::vector<float> codes = rows->codes, q = rows->q;
    fit_scales(rows);
    descend(rows, kSweeps);
    const std::vector<double> now = row_losses(*rows);
    for (size_t r = 0; r < losses.size(); ++r) {
      if (now[r] < losses[r]) {
        losses[r] = now[r];
        continue;
      }
      const auto begin = static_cast<ptrdiff_t>(r) * k;
      rows->scales[r] = scales[r];
      std::copy(codes.begin() + begin, codes.begin() + begin + k, rows->codes.begin() + begin);
      std::copy(q.begin() + begin, q.begin() + begin + k, rows->q.begin() + begin);
    }
  }
}

double total(const std::vector<double>& losses) { return std::accumulate(losses.begin(), losses.end(), 0.0); }

}  // namespace

void Hessian::add(Dense* dense, const float* x, int64_t count) {
  dense->add_gram(x, count, size, sum.data());
  rows += count;
}

Weight gptq_encode(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                   const Format& format, const Hessian& hessian, const GptqOptions& options, Dense* dense,
                   GptqReport* report) {
  const Stream& stream = dense->stream();
  QUAMBA2_CHECK(shape.size() == 2 && shape[1] == hessian.size && format.levels > 0, name);
  const GptqFactor factor = factorize(name, hessian, options);
  const int64_t n = shape[0], k = shape[1];
  Weight out = empty_weight(name, shape, format);
  const int64_t group = group_size(format, k);
  const int64_t chunk = std::clamp<int64_t>(kNumbers / std::max<int64_t>(k, 1), 1, n);
  double loss = 0, rounding = 0, zero = 0;
  for (int64_t begin = 0; begin < n; begin += chunk) {
    const int64_t count = std::min(chunk, n - begin);
    const size_t numbers = static_cast<size_t>(count * k);
    GptqRows rows{factor, *dense, values.data() + begin * k, count, group, {}, {}, std::vector<float>(numbers)};
    zero += total(row_losses(rows));
    rows.codes.resize(numbers);
    rows.scales.assign(static_cast<size_t>(count), RowScales(format, (k + group - 1) / group));
    for_rows(stream, count, [&](int64_t r) {
      const std::vector<float> scales = choose_scales(values.data() + (begin + r) * k, k, format, options.scales);
      rows.scales[static_cast<size_t>(r)].set(scales.data());
    });
    round_to_nearest(&rows);
    rounding += total(row_losses(rows));
    gptq_round(&rows);
    refine(&rows, options.refinements);
    loss += total(row_losses(rows));
    for_rows(stream, count, [&](int64_t r) {
      store_row(&out, begin + r, rows.codes.data() + r * k, rows.scales[static_cast<size_t>(r)]);
    });
  }
  zero = std::max(zero, 1e-300);
  if (report) *report = {std::sqrt(loss / zero), std::sqrt(rounding / zero), factor.damp};
  return out;
}

}  // namespace quamba2
