// SPDX-License-Identifier: Apache-2.0
#include "support/tolerance.h"

#include <algorithm>
#include <cmath>

#include "ops/reference/math.h"
#include "tensor/hadamard.h"
#include "tensor/operand.h"

namespace quamba2::testing {
namespace {

// Relative errors of backends/cpu/math.inl.h in units of u: 2 ulp, 5 ulp, 5 ulp.
constexpr double kExp = 4, kSilu = 10, kSoftplus = 10;
// Decoding a code rounds once; encoding multiplies by a rounded 1 / scale.
constexpr double kCodec = 3;
// Scans: what underflows in a decay (below e^-87) is less than this, for states below 2^26.
constexpr double kScanTiny = 0x1p-100;
// A decay beyond e^-110 is zero in f32 and counts as kScanTiny, so longer exponents add no relative error.
constexpr double kLongestExponent = 110;

size_t at(int64_t i) { return static_cast<size_t>(i); }

// An operand's magnitudes in f64; `store` keeps them alive.
Operand absolute(const Operand& operand, std::vector<double>* store) {
  *store = decode(operand);
  for (double& v : *store) v = std::fabs(v);
  Operand out;
  out.format.storage = DType::kF64;
  out.values = operand.values;
  out.values.dtype = DType::kF64;
  out.values.data = store->data();
  int32_t stride = 1;
  for (int i = operand.values.rank - 1; i >= 0; --i) {
    out.values.stride[i] = stride;
    stride *= operand.values.dim[i];
  }
  return out;
}

TensorView absolute(const TensorView& view, std::vector<double>* store) {
  if (!view.data) return view;
  Operand operand;
  operand.values = view;
  return absolute(operand, store).values;
}

int32_t longest(const Segment* segments, int32_t count) {
  int32_t out = 0;
  for (int32_t i = 0; i < count; ++i) out = std::max(out, segments[i].length);
  return out;
}

// How wrong -exp(a_log) * delta may be, relative, in units of u: softplus, its rounded argument (whose error reaches
// delta at most multiplied by sigmoid / softplus <= 1), exp, the product, and `sums` additions of one sign.
double exponent_error(const std::vector<double>& dt, const std::vector<double>& bias, double sums) {
  double largest = 0, largest_bias = 0;
  for (double v : dt) largest = std::max(largest, std::fabs(v));
  for (double v : bias) largest_bias = std::max(largest_bias, std::fabs(v));
  return kSoftplus + kExp + 3 + sums + 2 * (largest + largest_bias);
}

std::vector<double> scaled(const std::vector<double>& magnitude, double relative) {
  std::vector<double> out;
  for (double m : magnitude) out.push_back(m * relative + kScanTiny);
  return out;
}

}  // namespace

Bounds bounds(const RmsNormArgs& exact, const RmsNormArgs&) {
  // The sum of squares has relative error gamma(D + 3), its root half of that; root, division, products: 12 more. Numbers
  // that are sums are rounded once before.
  const bool adds = exact.sum.values.rank > 0;
  const double relative = gamma(0.5 * static_cast<double>(row_length(exact.x.values)) + 12 + kCodec + (adds ? 3 : 0));
  std::vector<double> out = decode(exact.out);
  for (double& v : out) v = std::fabs(v) * relative + kTiny;
  if (!adds) return {out};
  std::vector<double> sum = decode(exact.sum);
  for (double& v : sum) v = std::fabs(v) * kUnit;
  return {out, sum};
}

Bounds bounds(const LayerNormArgs& exact, const LayerNormArgs&) {
  const int64_t rows = row_count(exact.x.values), width = row_length(exact.x.values);
  const double d = static_cast<double>(width);
  const std::vector<double> x = decode(exact.x), w = reference::parameters(exact.weight, width, 1.0);
  const std::vector<double> b = reference::parameters(exact.bias, width, 0.0);
  std::vector<double> out;
  for (int64_t t = 0; t < rows; ++t) {
    const double* row = x.data() + t * width;
    double mean = 0, absolute_mean = 0, largest = 0, spread = 0, variance = 0;
    for (int64_t i = 0; i < width; ++i) mean += row[i] / d, absolute_mean += std::fabs(row[i]) / d;
    for (int64_t i = 0; i < width; ++i) {
      largest = std::max(largest, std::fabs(row[i]));
      spread += std::fabs(row[i] - mean) / d;
      variance += (row[i] - mean) * (row[i] - mean) / d;
    }
    // A deviation x - mean is off by `e`; the variance by 2 e mean|x - mean| + e^2 and its own summation.
    const double e = gamma(d + 3) * absolute_mean + 3 * kUnit * largest;
    const double off = 2 * e * spread + e * e + gamma(d + 3) * variance;
    const double r = 1 / std::sqrt(variance + exact.eps), relative = off / (variance + exact.eps) + gamma(8 + kCodec);
    for (int64_t i = 0; i < width; ++i) {
      const double scaled_deviation = std::fabs((row[i] - mean) * r * w[at(i)]);
      out.push_back(e * r * std::fabs(w[at(i)]) * (1 + relative) + relative * scaled_deviation +
                    gamma(4 + kCodec) * (scaled_deviation + std::fabs(b[at(i)])) + kTiny);
    }
  }
  return {out};
}

// silu(z) of a decoded z: its derivative times z over itself is at most 1 + |z| below zero.
static double silu_error(double z) { return kSilu + kCodec + 2 + std::max(0.0, -z); }

// Relative error of a rotation of rows of `width`, of sum |x| / sqrt(D). A result is a sum of +-x over sqrt(D). On its way a
// term passes at most 16 additions inside a vector, one a level above and m in the core; three roundings make the scale, one
// applies it.
static double rotation_error(int64_t width) {
  double levels = 0;
  for (int64_t n = width; n > 1; n /= 2) ++levels;
  return gamma(16 + levels + hadamard_core_order(width) + 4 + kCodec);
}

// Bounds of rotated rows from the numbers before and their bounds.
static std::vector<double> rotated(const std::vector<double>& values, const std::vector<double>& bound, int64_t width) {
  const double relative = rotation_error(width);
  std::vector<double> out(values.size());
  for (size_t begin = 0; begin < values.size(); begin += at(width)) {
    double sum = 0;
    for (size_t i = begin; i < begin + at(width); ++i)
      sum += relative * std::fabs(values[i]) + (1 + relative) * bound[i];
    for (size_t i = begin; i < begin + at(width); ++i) out[i] = sum / std::sqrt(static_cast<double>(width)) + kTiny;
  }
  return out;
}

// The problem without its rotation, its results in `store`.
template <class Args>
static Args unrotated(const Args& exact, std::vector<double>* store) {
  Args plain = exact;
  plain.rotation = Rotation::kNone;
  *store = decode(exact.out);
  plain.out.values.data = store->data();
  plain.out.values.stride[0] = plain.out.values.dim[1];
  return plain;
}

Bounds bounds(const GateArgs& exact, const GateArgs& initial) {
  if (exact.rotation != Rotation::kNone) {
    std::vector<double> store;
    const GateArgs plain = unrotated(exact, &store);
    reference_gate(plain);
    return {rotated(store, bounds(plain, initial)[0], row_length(exact.y.values))};
  }
  const std::vector<double> y = decode(exact.y), z = decode(exact.z);
  std::vector<double> out = decode(exact.out);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = std::fabs(out[i]) * gamma(silu_error(z[i]) + 4) + kTiny * (1 + std::fabs(y[i]));
  }
  return {out};
}

Bounds bounds(const GatedRmsNormArgs& exact, const GatedRmsNormArgs& initial) {
  if (exact.rotation != Rotation::kNone) {
    std::vector<double> store;
    const GatedRmsNormArgs plain = unrotated(exact, &store);
    reference_gated_rms_norm(plain);
    return {rotated(store, bounds(plain, initial)[0], row_length(exact.y.values))};
  }
  const int64_t width = row_length(exact.y.values);
  const std::vector<double> y = decode(exact.y), z = decode(exact.z),
                            w = reference::parameters(exact.weight, width, 1.0);
  double lowest = 0;
  for (double v : z) lowest = std::min(lowest, v);
  // Each gated value, their squares' sum (half, for the root), and the steps of rms_norm.
  const double relative = gamma(2 * (silu_error(lowest) + 4) + 0.5 * static_cast<double>(width / exact.groups) + 12);
  std::vector<double> out = decode(exact.out);
  const double tiny = kTiny / std::sqrt(exact.eps);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = std::fabs(out[i]) * relative + tiny * (1 + std::fabs(y[i])) * (1 + std::fabs(w[i % w.size()]));
  }
  return {out};
}

Bounds bounds(const HadamardArgs& exact, const HadamardArgs&) {
  const std::vector<double> x = decode(exact.x);
  return {rotated(x, std::vector<double>(x.size(), 0.0), row_length(exact.x.values))};
}

Bounds bounds(const AddArgs& exact, const AddArgs&) {
  const std::vector<double> a = decode(exact.a), b = decode(exact.b);
  std::vector<double> out(a.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = gamma(1 + kCodec) * (std::fabs(a[i]) + std::fabs(b[i]));
  return {out};
}

Bounds bounds(const ConvertArgs& exact, const ConvertArgs&) {
  std::vector<double> out = decode(exact.x);
  for (double& v : out) v = std::fabs(v) * gamma(kCodec);
  return {out};
}

Bounds bounds(const SelectRowsArgs& exact, const SelectRowsArgs&) {
  return {std::vector<double>(decode(exact.out).size(), 0.0)};  // a copy
}

Bounds bounds(const CausalConv1dArgs& exact, const CausalConv1dArgs& initial) {
  const int64_t channels = exact.weight.values.dim[0], taps = exact.weight.values.dim[1];
  std::vector<double> stores[5];
  CausalConv1dArgs magnitude = exact;
  magnitude.x = absolute(initial.x, &stores[0]);
  magnitude.weight = absolute(initial.weight, &stores[1]);
  magnitude.bias = absolute(initial.bias, &stores[2]);
  magnitude.state = absolute(initial.state, &stores[3]);
  magnitude.activation = Activation::kNone;
  const int64_t rows = row_count(exact.x.values);
  stores[4].resize(at(rows * channels));
  magnitude.out = OutputParts{};
  magnitude.out.count = 1;
  magnitude.out.begin[1] = static_cast<int32_t>(channels);
  Operand whole;
  whole.values = exact.x.values;
  whole.values.dtype = DType::kF64;
  whole.values.stride[0] = static_cast<int32_t>(channels);
  whole.values.data = stores[4].data();
  magnitude.out.part[0] = whole;
  reference_causal_conv1d(magnitude);
  // The sum's error passes silu with slope at most 1.1; silu adds its own.
  Bounds out;
  for (int32_t p = 0; p < exact.out.count; ++p) {
    std::vector<double> part = decode(exact.out.part[p]);
    const int64_t begin = exact.out.begin[p], width = exact.out.begin[p + 1] - begin;
    for (size_t i = 0; i < part.size(); ++i) {
      const int64_t t = static_cast<int64_t>(i) / width, c = begin + static_cast<int64_t>(i) % width;
      const double sum = stores[4][at(t * channels + c)];
      part[i] = 1.1 * gamma(static_cast<double>(taps) + 4) * sum + gamma(kSilu + kCodec) * std::fabs(part[i]) + kTiny;
    }
    out.push_back(part);
  }
  out.push_back(std::vector<double>(at(row_count(exact.state.values) * channels), 0.0));  // moved, never changed
  return out;
}

namespace {

// Bounds of a state, those of slots that no segment names set to 0: they stay as they are.
template <class Args>
std::vector<double> unwritten_exact(const Args& args, std::vector<double> bound) {
  const auto slot_size = static_cast<int64_t>(bound.size()) / args.state.values.dim[0];
  for (int32_t slot = 0; slot < args.state.values.dim[0]; ++slot) {
    const Segment* end = args.segments + args.segment_count;
    if (std::any_of(args.segments, end, [&](const Segment& s) { return s.slot == slot && s.length > 0; })) continue;
    std::fill_n(bound.begin() + slot * slot_size, slot_size, 0.0);
  }
  return bound;
}

}  // namespace

Bounds bounds(const SelectiveScanArgs& exact, const SelectiveScanArgs& initial) {
  std::vector<double> stores[6];
  SelectiveScanArgs m = exact;
  m.x = absolute(initial.x, &stores[0]);
  m.b = absolute(initial.b, &stores[1]);
  m.c = absolute(initial.c, &stores[2]);
  m.d = absolute(initial.d, &stores[3]);
  m.state = absolute(initial.state, &stores[4]);
  m.out = absolute(exact.out, &stores[5]);
  reference_selective_scan(m);
  const int64_t width = exact.a_log.dim[0], states = exact.a_log.dim[1];
  const std::vector<double> dt = decode(exact.dt), bias = reference::parameters(exact.dt_bias, width, 0.0);
  const std::vector<double> a_log = reference::parameters(exact.a_log, width * states, 0.0);
  double rate = 0, steps = 0;  // the largest exponent that a segment gathers
  for (double v : a_log) rate = std::max(rate, std::exp(v));
  for (size_t i = 0; i < dt.size(); ++i) steps = std::max(steps, reference::softplus(dt[i] + bias[i % bias.size()]));
  const double tokens = longest(exact.segments, exact.segment_count);
  const double error = exponent_error(dt, bias, 0);
  // A step rounds a state four times (decay, product, sum, input); the read-out adds N + 1 terms.
  const double relative = gamma((kExp + 4) * tokens + static_cast<double>(states) + 2 * error) +
                          std::min(kLongestExponent, rate * steps * tokens) * gamma(error);
  return {scaled(stores[5], relative), unwritten_exact(exact, scaled(stores[4], relative))};
}

Bounds bounds(const SsdScanArgs& exact, const SsdScanArgs& initial) {
  std::vector<double> stores[6];
  SsdScanArgs m = exact;
  m.x = absolute(initial.x, &stores[0]);
  m.b = absolute(initial.b, &stores[1]);
  m.c = absolute(initial.c, &stores[2]);
  m.d = absolute(initial.d, &stores[3]);
  m.state = absolute(initial.state, &stores[4]);
  m.out = absolute(exact.out, &stores[5]);
  reference_ssd_scan(m);
  const int64_t heads = exact.state.values.dim[1], states = exact.state.values.dim[2];
  const std::vector<double> dt = decode(exact.dt), bias = reference::parameters(exact.dt_bias, heads, 0.0);
  const std::vector<double> a_log = reference::parameters(exact.a_log, heads, 0.0);
  double exponent = 0;
  for (size_t i = 0; i < dt.size(); ++i) {
    const double raw = reference::softplus(dt[i] + bias[i % bias.size()]);
    exponent = std::max(exponent, std::clamp(raw, exact.dt_min, exact.dt_max) * std::exp(a_log[i % a_log.size()]));
  }
  // Inside a chunk an exponent is a sum of up to `chunk` steps of one sign, and a result a dot product over the chunk's
  // tokens and one over the states; across chunks (or steps) errors add up along T.
  const double tokens = longest(exact.segments, exact.segment_count), chunk = std::min(tokens, 64.0);
  const double error = exponent_error(dt, bias, chunk);
  const double relative = gamma((kExp + 4) * tokens + chunk + static_cast<double>(states) + 2 * error) +
                          std::min(kLongestExponent, exponent * tokens) * gamma(error);
  return {scaled(stores[5], relative), unwritten_exact(exact, scaled(stores[4], relative))};
}

}  // namespace quamba2::testing
