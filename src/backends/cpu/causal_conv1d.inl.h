// SPDX-License-Identifier: Apache-2.0
// causal_conv1d (ops/causal_conv1d.h). Lanes are channels: a row of outputs needs K rows of inputs, the first of which
// lie in the state.
//
//   state   s0 s1 s2                       taps of y0: s0 s1 s2 x0
//   x                x0 x1 x2 x3 ...       taps of y2: s2 x0 x1 x2
//
// Codes of i8 inputs and weights are multiplied as floats: |sum| <= K * 2^14 is exact below 2^24. Threads split channels,
// so that each one owns its columns of the state.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kMaxTaps = 16;
constexpr int64_t kConvStrip = 256;  // channels of one row computed at a time

// Prepared: weights [K][channels, padded] (codes as floats where integer), then their scales [channels, padded].
inline size_t causal_conv1d_prepared_bytes(const CausalConv1dArgs& a) {
  const TensorView& w = a.weight.values;
  return static_cast<size_t>((w.dim[1] + 1) * padded(w.dim[0])) * sizeof(float);
}
inline void prepare_causal_conv1d(const CausalConv1dArgs& a, void* destination, const Stream&) {
  const int64_t channels = a.weight.values.dim[0], taps = a.weight.values.dim[1], stride = padded(channels);
  float* out = static_cast<float*>(destination);
  const DType dtype = a.weight.values.dtype;
  for (int64_t c = 0; c < channels; ++c) {
    const uint8_t* row = weight_row_address(a.weight.values, c);
    for (int64_t k = 0; k < taps; ++k) {
      out[k * stride + c] =
          dtype == DType::kI8 ? static_cast<float>(weight_code(row, dtype, k)) : load_float(row, dtype, k);
    }
    out[taps * stride + c] = dtype == DType::kI8 ? weight_scale(a.weight, c, 0) : 1.0f;
  }
}

inline Verdict supports_causal_conv1d(const CausalConv1dArgs& a) {
  if (a.weight.values.dim[1] > kMaxTaps) return {"needs at most 16 taps"};
  if (a.x.format.storage != DType::kF32 && a.x.format.storage != DType::kI8) return {"needs f32 or i8 inputs"};
  if (a.state.format.storage != a.x.format.storage) return {"needs a state in the format of x"};
  const DType w = a.weight.format.storage;
  if (w == DType::kI8 && a.weight.format.level[0].grain == Grain::kGroup)
    return {"needs weight scales a tensor or row"};
  if (w == DType::kI4 || w == DType::kI6) return {"needs float or i8 weights"};
  const char* reason =
      first_reason(refuse_rows(a.x), refuse_weight(a.weight), refuse_parameters(a.bias), refuse_rows(a.state));
  for (int32_t i = 0; i < a.out.count; ++i) reason = first_reason(reason, refuse_rows(a.out.part[i]));
  return {reason};
}

// Scratch a thread: a strip of outputs.
inline size_t causal_conv1d_scratch(const CausalConv1dArgs&, int32_t threads) {
  return static_cast<size_t>(kConvStrip * threads) * sizeof(float);
}

// One row's taps: tap[k] is the row whose numbers meet weight k.
struct ConvRow {
  const char* tap[kMaxTaps];
  const float *weight, *bias;  // weight [K + 1][stride]: taps, then scales
  int64_t stride;
  int taps;
  Scales scales;  // of x
};

QUAMBA2_INLINE F32 convolve(const ConvRow& r, DType dtype, int64_t c, int n) {
  F32 sum = zero();
  for (int k = 0; k < r.taps; ++k) {  // the prepared weights are padded: whole vectors
    const F32 x = n == kLanes ? load_any(r.tap[k], dtype, c) : load_any_n(r.tap[k], dtype, c, n);
    sum = fma(load(r.weight + k * r.stride + c), x, sum);
  }
  const F32 bias = parameter(r.bias, c, n, 0.0f);
  if (r.scales.data == nullptr) return fma(sum, load(r.weight + r.taps * r.stride + c), bias);
  return fma(sum, mul(scale_at(r.scales, c, n), load(r.weight + r.taps * r.stride + c)), bias);
}

template <DType kType, bool kSilu>
inline void convolve_strip(const ConvRow& r, int64_t begin, int64_t count, float* out) {
  const auto act = [](F32 v) { return kSilu ? silu(v) : v; };
  for_vectors(
      count, [&](int64_t i) { store(out + i, act(convolve(r, kType, begin + i, kLanes))); },
      [&](int64_t i, int n) { store_n(out + i, act(convolve(r, kType, begin + i, n)), n); });
}

// Channels [begin, end) of token t, into the parts that own them.
inline void convolve_row(const CausalConv1dArgs& a, const ConvRow& r, int64_t t, Share channels, float* buffer) {
  const bool codes = a.x.values.dtype == DType::kI8, with_silu = a.activation == Activation::kSilu;
  const auto strip = codes ? (with_silu ? convolve_strip<DType::kI8, true> : convolve_strip<DType::kI8, false>)
                           : (with_silu ? convolve_strip<DType::kF32, true> : convolve_strip<DType::kF32, false>);
  for (int32_t p = 0; p < a.out.count; ++p) {
    const int64_t first = larger<int64_t>(channels.begin, a.out.begin[p]);
    const int64_t last = smaller<int64_t>(channels.end, a.out.begin[p + 1]);
    for (int64_t c = first; c < last; c += kConvStrip) {
      const int64_t count = smaller(kConvStrip, last - c), column = c - a.out.begin[p];
      float* target = row_target(a.out.part[p], t, column, buffer);
      strip(r, c, count, target);
      write_row(a.out.part[p], t, column, count, target);
    }
  }
}

// The new state is the last K - 1 rows of (state, x): where the segment is shorter, old rows move up first.
inline void move_conv_state(const CausalConv1dArgs& a, const Segment& s, Share channels) {
  const TensorView& v = a.state.values;
  const int64_t history = a.weight.values.dim[1] - 1, size = bytes_of(v.dtype);
  const size_t bytes = static_cast<size_t>((channels.end - channels.begin) * size);
  const auto row = [&](int64_t k) {
    return static_cast<char*>(v.data) +
           (s.slot * static_cast<int64_t>(v.stride[0]) + k * v.stride[1] + channels.begin) * size;
  };
  for (int64_t k = 0; k < history; ++k) {
    const int64_t t = s.length - history + k;  // the token that becomes row k
    const char* from = t < 0 ? row(k + s.length)
                             : static_cast<const char*>(matrix_row(a.x.values, s.begin + t)) + channels.begin * size;
    __builtin_memcpy(row(k), from, bytes);
  }
}

inline void convolve_channels(const CausalConv1dArgs& a, Share channels, float* buffer) {
  const TensorView& v = a.state.values;
  const int64_t taps = a.weight.values.dim[1], history = taps - 1, size = bytes_of(v.dtype);
  ConvRow r;
  r.weight = static_cast<const float*>(a.prepared);
  r.bias = static_cast<const float*>(a.bias.data);
  r.stride = padded(a.weight.values.dim[0]);
  r.taps = static_cast<int>(taps);
  r.scales = scales_of(a.x);
  for (int32_t i = 0; i < a.segment_count; ++i) {
    const Segment& s = a.segments[i];
    for (int64_t t = 0; t < s.length; ++t) {
      for (int64_t k = 0; k < taps; ++k) {
        const int64_t from = t - history + k;
        r.tap[k] = from < 0 ? static_cast<const char*>(v.data) +
                                  (s.slot * static_cast<int64_t>(v.stride[0]) + (from + history) * v.stride[1]) * size
                            : static_cast<const char*>(matrix_row(a.x.values, s.begin + from));
      }
      convolve_row(a, r, s.begin + t, channels, buffer);
    }
    move_conv_state(a, s, channels);
  }
}

inline void run_causal_conv1d(const CausalConv1dArgs& a, const Stream& stream) {
  const int64_t channels = a.weight.values.dim[0], blocks = ceil_div(channels, 64);
  float* buffer = reinterpret_cast<float*>(stream.scratch);
  if (stream.threads < 2 || a.x.values.dim[0] * channels < 8192) return convolve_channels(a, {0, channels}, buffer);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(blocks, index, stream.threads);
    const Share own = {share.begin * 64, smaller(share.end * 64, channels)};
    if (own.begin < own.end) convolve_channels(a, own, buffer + kConvStrip * index);
  });
}

constexpr Kernel<CausalConv1dArgs> kCausalConv1dRows[] = {{"causal_conv1d_" QUAMBA2_ISA_NAME, supports_causal_conv1d,
                                                           run_causal_conv1d, causal_conv1d_scratch,
                                                           causal_conv1d_prepared_bytes, prepare_causal_conv1d}};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
