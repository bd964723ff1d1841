// SPDX-License-Identifier: Apache-2.0
// rms_norm, layer_norm (ops/norm.h) and gated_rms_norm, gate (ops/gate.h). Sums run in four lanes of vectors that are
// added in one order, whatever the threads and the number of rows.

namespace quamba2::QUAMBA2_ISA {
namespace {

// Sum of term(x[i]) over [0, n).
template <class Term>
QUAMBA2_INLINE float sum_row(const float* x, int64_t n, const Term& term) {
  F32 part[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) part[k] = add(part[k], term(load(x + i + k * kLanes)));
  }
  for (; i + kLanes <= n; i += kLanes) part[0] = add(part[0], term(load(x + i)));
  float all = sum(add(add(part[0], part[1]), add(part[2], part[3])));
  if (i < n) {  // lanes beyond the end must not count: term(0) need not be 0
    float last[kLanes];
    store(last, term(load_n(x + i, static_cast<int>(n - i))));
    for (int k = 0; k < n - i; ++k) all += last[k];
  }
  return all;
}

// out[i] = function(x[i], i-th weight or 1), i in [0, n).
QUAMBA2_INLINE F32 parameter(const float* w, int64_t i, int n, float fallback) {
  if (w == nullptr) return broadcast(fallback);
  return n == kLanes ? load(w + i) : load_n(w + i, n);
}
template <class Function>
QUAMBA2_INLINE void map_row(const float* x, int64_t count, float* out, const Function& function) {
  for_vectors(
      count, [&](int64_t i) { store(out + i, function(load(x + i), i, kLanes)); },
      [&](int64_t i, int n) { store_n(out + i, function(load_n(x + i, n), i, n), n); });
}

inline float inverse_rms(const float* x, int64_t n, double eps) {
  const float squares = sum_row(x, n, [](F32 v) { return mul(v, v); });
  return 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + static_cast<float>(eps));
}

inline Verdict supports_rms_norm(const RmsNormArgs& a) {
  const char* sums = nullptr;
  if (a.addend.values.rank > 0) {
    sums = first_reason(refuse_rows(a.addend), refuse_rows(a.sum));
    if (a.sum.values.dtype != DType::kF32) sums = "needs an f32 sum";
  }
  return {first_reason(refuse_whole_rows(a.x), refuse_whole_rows(a.out), refuse_parameters(a.weight), sums)};
}
inline size_t rms_norm_scratch(const RmsNormArgs& a, int32_t threads) {
  return row_buffers_bytes<2>(a.x.values.dim[1], threads);
}
// Row t of what is normed: x, or the sum, which is written on the way. buffers: 2 * padded(width).
inline const float* normed_row(const RmsNormArgs& a, int64_t t, int64_t width, float* buffers) {
  const float* x = read_row(a.x, t, 0, width, buffers);
  if (a.addend.values.rank == 0) return x;
  const float* y = read_row(a.addend, t, 0, width, buffers + padded(width));
  auto* sum = static_cast<float*>(matrix_row(a.sum.values, t));
  map_row(x, width, sum, [&](F32 v, int64_t i, int n) { return add(v, n == kLanes ? load(y + i) : load_n(y + i, n)); });
  return sum;
}
inline void run_rms_norm(const RmsNormArgs& a, const Stream& stream) {
  const int64_t width = a.x.values.dim[1];
  const float* weight = static_cast<const float*>(a.weight.data);
  split_rows(stream, a.x.values.dim[0], width, [&](int64_t begin, int64_t end, int thread) {
    float* buffer = row_buffers(stream, width, 2, thread);
    for (int64_t t = begin; t < end; ++t) {
      const float* x = normed_row(a, t, width, buffer);
      float* out = row_target(a.out, t, 0, buffer + padded(width));
      const F32 r = broadcast(inverse_rms(x, width, a.eps));
      map_row(x, width, out, [&](F32 v, int64_t i, int n) { return mul(mul(v, r), parameter(weight, i, n, 1.0f)); });
      write_row(a.out, t, 0, width, out);
    }
  });
}

inline Verdict supports_layer_norm(const LayerNormArgs& a) {
  return {first_reason(refuse_whole_rows(a.x), refuse_whole_rows(a.out), refuse_parameters(a.weight),
                       refuse_parameters(a.bias))};
}
inline size_t layer_norm_scratch(const LayerNormArgs& a, int32_t threads) {
  return row_buffers_bytes<2>(a.x.values.dim[1], threads);
}
inline void run_layer_norm(const LayerNormArgs& a, const Stream& stream) {
  const int64_t width = a.x.values.dim[1];
  const float *weight = static_cast<const float*>(a.weight.data), *bias = static_cast<const float*>(a.bias.data);
  split_rows(stream, a.x.values.dim[0], width, [&](int64_t begin, int64_t end, int thread) {
    float* buffer = row_buffers(stream, width, 2, thread);
    for (int64_t t = begin; t < end; ++t) {
      const float* x = read_row(a.x, t, 0, width, buffer);
      float* out = row_target(a.out, t, 0, buffer + padded(width));
      const float n_inverse = 1.0f / static_cast<float>(width);
      const F32 mean = broadcast(sum_row(x, width, [](F32 v) { return v; }) * n_inverse);
      const float variance = sum_row(x, width, [&](F32 v) { return mul(sub(v, mean), sub(v, mean)); }) * n_inverse;
      const F32 r = broadcast(1.0f / __builtin_sqrtf(variance + static_cast<float>(a.eps)));
      map_row(x, width, out, [&](F32 v, int64_t i, int n) {
        return fma(mul(sub(v, mean), r), parameter(weight, i, n, 1.0f), parameter(bias, i, n, 0.0f));
      });
      write_row(a.out, t, 0, width, out);
    }
  });
}

inline Verdict supports_gated_rms_norm(const GatedRmsNormArgs& a) {
  if (const char* reason = refuse_rotation(a.rotation, a.y.values.dim[1])) return {reason};
  if (a.groups < 1 || a.y.values.dim[1] % a.groups != 0) return {"needs channels divisible by groups"};
  return {first_reason(refuse_whole_rows(a.y), refuse_whole_rows(a.z), refuse_whole_rows(a.out),
                       refuse_parameters(a.weight))};
}
// Scratch a thread: y and z of a run of channels, and a row of results.
QUAMBA2_INLINE int64_t gated_rms_norm_floats(const GatedRmsNormArgs& a) {
  return 2 * padded(a.y.values.dim[1] / a.groups) + padded(a.y.values.dim[1]);
}
inline size_t gated_rms_norm_scratch(const GatedRmsNormArgs& a, int32_t threads) {
  return static_cast<size_t>(gated_rms_norm_floats(a) * threads) * sizeof(float);
}

// One run of `width` channels from column `begin` of row t. buffer: 2 * padded(width).
inline void gated_rms_norm_run(const GatedRmsNormArgs& a, int64_t t, int64_t begin, int64_t width, float* buffer,
                               float* out) {
  const float* weight = a.weight.data == nullptr ? nullptr : static_cast<const float*>(a.weight.data) + begin;
  const float* y = read_row(a.y, t, begin, width, buffer);
  const float* z = read_row(a.z, t, begin, width, buffer + padded(width));
  const auto z_at = [&](int64_t i, int n) { return n == kLanes ? load(z + i) : load_n(z + i, n); };
  if (a.norm_before_gate) {
    const F32 r = broadcast(inverse_rms(y, width, a.eps));
    map_row(y, width, out, [&](F32 v, int64_t i, int n) {
      return mul(mul(mul(v, r), parameter(weight, i, n, 1.0f)), silu(z_at(i, n)));
    });
  } else {
    float* gated = buffer;  // over y's own buffer: read before written
    map_row(y, width, gated, [&](F32 v, int64_t i, int n) { return mul(v, silu(z_at(i, n))); });
    const F32 r = broadcast(inverse_rms(gated, width, a.eps));
    map_row(gated, width, out, [&](F32 v, int64_t i, int n) { return mul(mul(v, r), parameter(weight, i, n, 1.0f)); });
  }
}
// Rows are encoded whole: the scale of one may depend on all its groups.
inline void run_gated_rms_norm(const GatedRmsNormArgs& a, const Stream& stream) {
  const int64_t all = a.y.values.dim[1], width = all / a.groups;
  const Rotator rotator(a.rotation, all);
  split_rows(stream, a.y.values.dim[0], all, [&](int64_t begin, int64_t end, int thread) {
    float* buffer = reinterpret_cast<float*>(stream.scratch) + gated_rms_norm_floats(a) * thread;
    for (int64_t t = begin; t < end; ++t) {
      float* out = row_target(a.out, t, 0, buffer + 2 * padded(width));
      for (int64_t g = 0; g < a.groups; ++g) {
        gated_rms_norm_run(a, t, g * width, width, buffer, out + g * width);
      }
      rotator.apply(out);
      write_row(a.out, t, 0, all, out);
    }
  });
}

constexpr Kernel<RmsNormArgs> kRmsNormRows[] = {
    {"rms_norm_" QUAMBA2_ISA_NAME, supports_rms_norm, run_rms_norm, rms_norm_scratch}};
constexpr Kernel<LayerNormArgs> kLayerNormRows[] = {
    {"layer_norm_" QUAMBA2_ISA_NAME, supports_layer_norm, run_layer_norm, layer_norm_scratch}};
constexpr Kernel<GatedRmsNormArgs> kGatedRmsNormRows[] = {
    {"gated_rms_norm_" QUAMBA2_ISA_NAME, supports_gated_rms_norm, run_gated_rms_norm, gated_rms_norm_scratch}};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
