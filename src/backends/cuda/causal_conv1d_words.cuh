// SPDX-License-Identifier: Apache-2.0
// What the kernels of causal_conv1d with four taps share whose threads have four channels, all codes or all f32: which numbers
// they read and write is known when they are compiled. Scales of codes are multiplied into the weights.
#pragma once

#include "backends/cuda/causal_conv1d.cuh"

namespace quamba2::cuda {

constexpr int kWordTaps = 4;

template <bool kCodes>
struct WordOf {
  using Type = float4;
};
template <>
struct WordOf<true> {
  using Type = char4;
};

__device__ __forceinline__ Vector<4> numbers_in(char4 w) {
  return {{static_cast<float>(w.x), static_cast<float>(w.y), static_cast<float>(w.z), static_cast<float>(w.w)}};
}
__device__ __forceinline__ Vector<4> numbers_in(float4 w) { return {{w.x, w.y, w.z, w.w}}; }

// Taps of channels c .. c + 3, [channel][tap].
__device__ __forceinline__ void load_taps(const Numbers& weight, int32_t c, float (&w)[4][kWordTaps]) {
  if (weight.dtype == DType::kF32 && weight.stride == kWordTaps && reinterpret_cast<uint64_t>(weight.data) % 16 == 0) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float4 f = *reinterpret_cast<const float4*>(static_cast<const float*>(weight.data) + (c + j) * kWordTaps);
      w[j][0] = f.x, w[j][1] = f.y, w[j][2] = f.z, w[j][3] = f.w;
    }
  } else if (weight.dtype == DType::kI8 && weight.stride == kWordTaps &&
             reinterpret_cast<uint64_t>(weight.data) % 4 == 0) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const Vector<4> v =
          numbers_in(*reinterpret_cast<const char4*>(static_cast<const int8_t*>(weight.data) + (c + j) * kWordTaps));
      const float scale = scale_of(weight, c + j, 0);
#pragma unroll
      for (int k = 0; k < kWordTaps; ++k) w[j][k] = v.v[k] * scale;
    }
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int k = 0; k < kWordTaps; ++k) w[j][k] = load_number(weight, c + j, k);
    }
  }
}

// Taps, scales and bias of a thread's channels.
struct WordTaps {
  float w[4][kWordTaps], bias[4];

  template <bool kCodesIn>
  __device__ __forceinline__ void load(const ConvParameters& p, int32_t c) {
    load_taps(p.weight, c, w);
    if constexpr (kCodesIn) {
      const float4 scale = scales_of(p.x, 0, c);
#pragma unroll
      for (int k = 0; k < kWordTaps; ++k)
        w[0][k] *= scale.x, w[1][k] *= scale.y, w[2][k] *= scale.z, w[3][k] *= scale.w;
    }
    const Vector<4> from = load_parameters<4>(p.bias, c, 0.0f);
#pragma unroll
    for (int j = 0; j < 4; ++j) bias[j] = from.v[j];
  }
  __device__ __forceinline__ void convolve(const Vector<4> (&window)[kWordTaps], bool applies_silu,
                                           float (&y)[4]) const {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      y[j] = bias[j];
#pragma unroll
      for (int k = 0; k < kWordTaps; ++k) y[j] = fmaf(w[j][k], window[k].v[j], y[j]);
      if (applies_silu) y[j] = silu(y[j]);
    }
  }
};

// Where a thread's four channels go.
template <bool kCodes>
struct WordTarget {
  char* data;
  int64_t stride;  // bytes a token
  CodeFactor factor[4];

  __device__ __forceinline__ WordTarget(const ConvParameters& p, int32_t c) {
    int part = 0;
    while (part + 1 < p.parts && c >= p.begin[part + 1]) ++part;
    const Numbers& out = p.part[part];
    const int32_t column = c - p.begin[part];
    constexpr int kBytes = kCodes ? 1 : 4;
    data = static_cast<char*>(out.data) + static_cast<int64_t>(column) * kBytes;
    stride = static_cast<int64_t>(out.stride) * kBytes;
    if constexpr (kCodes) {
      const float4 s = scales_of(out, 0, column);
      factor[0] = code_factor(s.x), factor[1] = code_factor(s.y), factor[2] = code_factor(s.z),
      factor[3] = code_factor(s.w);
    }
  }
  __device__ __forceinline__ void put(int64_t token, const float (&y)[4]) const {
    char* to = data + token * stride;
    if constexpr (kCodes) {
      int code[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) code[j] = __float2int_rn(factor[j].steps(y[j]));
      *reinterpret_cast<uint32_t*>(to) = pack_codes(code);
    } else {
      *reinterpret_cast<float4*>(to) = make_float4(y[0], y[1], y[2], y[3]);
    }
  }
};

// Whether these kernels have a form for an operation, and which.
struct WordContent {
  bool codes_in, codes_out;
};
inline bool word_content(const ConvParameters& p, WordContent* content) {
  const auto is_codes = [](const Numbers& x) {
    return x.dtype == DType::kI8 && (x.by == ScaleBy::kColumn || x.by == ScaleBy::kTensor);
  };
  if (p.taps != kWordTaps || (!is_codes(p.x) && p.x.dtype != DType::kF32)) return false;
  *content = {is_codes(p.x), is_codes(p.part[0])};
  for (int i = 0; i < p.parts; ++i) {
    if (is_codes(p.part[i]) != content->codes_out) return false;
    if (!content->codes_out && p.part[i].dtype != DType::kF32) return false;
  }
  return true;
}

}  // namespace quamba2::cuda
