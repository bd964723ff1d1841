// SPDX-License-Identifier: Apache-2.0
#include "ops/norm.h"

#include "ops/gate.h"
#include "ops/reference/math.h"

namespace quamba2 {
namespace {

double inverse_rms(const double* x, int64_t n, double eps) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return 1.0 / std::sqrt(sum / static_cast<double>(n) + eps);
}

}  // namespace

void reference_rms_norm(const RmsNormArgs& args) {
  const int64_t rows = row_count(args.x.values), width = row_length(args.x.values);
  const std::vector<double> weight = reference::parameters(args.weight, width, 1.0);
  std::vector<double> x = decode(args.x);
  if (args.addend.values.rank > 0) {
    const std::vector<double> addend = decode(args.addend);
    for (size_t i = 0; i < x.size(); ++i) x[i] += addend[i];
    encode(x, args.sum);
    x = decode(args.sum);
  }
  for (int64_t t = 0; t < rows; ++t) {
    double* row = x.data() + t * width;
    const double r = inverse_rms(row, width, args.eps);
    for (int64_t d = 0; d < width; ++d) row[d] *= r * weight[static_cast<size_t>(d)];
  }
  encode(x, args.out);
}

void reference_layer_norm(const LayerNormArgs& args) {
  const int64_t rows = row_count(args.x.values), width = row_length(args.x.values);
  const std::vector<double> weight = reference::parameters(args.weight, width, 1.0);
  const std::vector<double> bias = reference::parameters(args.bias, width, 0.0);
  std::vector<double> x = decode(args.x);
  for (int64_t t = 0; t < rows; ++t) {
    double* row = x.data() + t * width;
    double mean = 0, variance = 0;
    for (int64_t d = 0; d < width; ++d) mean += row[d];
    mean /= static_cast<double>(width);
    for (int64_t d = 0; d < width; ++d) variance += (row[d] - mean) * (row[d] - mean);
    const double r = 1.0 / std::sqrt(variance / static_cast<double>(width) + args.eps);
    for (int64_t d = 0; d < width; ++d) {
      const auto i = static_cast<size_t>(d);
      row[d] = (row[d] - mean) * r * weight[i] + bias[i];
    }
  }
  encode(x, args.out);
}

void reference_gated_rms_norm(const GatedRmsNormArgs& args) {
  const int64_t rows = row_count(args.y.values), width = row_length(args.y.values), run = width / args.groups;
  const std::vector<double> weight = reference::parameters(args.weight, width, 1.0), y = decode(args.y),
                            z = decode(args.z);
  std::vector<double> v(static_cast<size_t>(width)), out(v);
  for (int64_t t = 0; t < rows; ++t) {
    const auto gate = [&](int64_t e) { return reference::silu(z[static_cast<size_t>(t * width + e)]); };
    for (int64_t e = 0; e < width; ++e) {
      v[static_cast<size_t>(e)] = y[static_cast<size_t>(t * width + e)] * (args.norm_before_gate ? 1.0 : gate(e));
    }
    for (int64_t e = 0; e < width; ++e) {
      const double r = inverse_rms(v.data() + e / run * run, run, args.eps);
      const double normed = v[static_cast<size_t>(e)] * r * weight[static_cast<size_t>(e)];
      out[static_cast<size_t>(e)] = args.norm_before_gate ? normed * gate(e) : normed;
    }
    reference::rotate(args.rotation, &out);
    encode_row(args.out, t, out.data());
  }
}

}  // namespace quamba2
