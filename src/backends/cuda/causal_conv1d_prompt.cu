// SPDX-License-Identifier: Apache-2.0
// causal_conv1d of prompts with four taps: a thread has four channels of a tile of tokens. Which numbers it reads and writes
// is known when it is compiled, so that the words of several tokens are on their way at once; scales of codes are multiplied
// into the weights.
#include "backends/cuda/causal_conv1d.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kTaps = 4, kBatch = 8;  // tokens whose words are loaded together

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
__device__ __forceinline__ void load_taps(const Numbers& weight, int32_t c, float (&w)[4][kTaps]) {
  if (weight.dtype == DType::kF32 && weight.stride == kTaps && reinterpret_cast<uint64_t>(weight.data) % 16 == 0) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float4 f = *reinterpret_cast<const float4*>(static_cast<const float*>(weight.data) + (c + j) * kTaps);
      w[j][0] = f.x, w[j][1] = f.y, w[j][2] = f.z, w[j][3] = f.w;
    }
  } else if (weight.dtype == DType::kI8 && weight.stride == kTaps && reinterpret_cast<uint64_t>(weight.data) % 4 == 0) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const Vector<4> v =
          numbers_in(*reinterpret_cast<const char4*>(static_cast<const int8_t*>(weight.data) + (c + j) * kTaps));
      const float scale = scale_of(weight, c + j, 0);
#pragma unroll
      for (int k = 0; k < kTaps; ++k) w[j][k] = v.v[k] * scale;
    }
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int k = 0; k < kTaps; ++k) w[j][k] = load_number(weight, c + j, k);
    }
  }
}

// Where a thread's four channels go.
template <bool kCodes>
struct Target {
  char* data;
  int64_t stride;  // bytes a token
  CodeFactor factor[4];

  __device__ __forceinline__ Target(const ConvParameters& p, int32_t c) {
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

template <bool kCodesIn, bool kCodesOut>
__global__ void __launch_bounds__(128) causal_conv1d_prompt(const __grid_constant__ ConvParameters p) {
  using Word = typename WordOf<kCodesIn>::Type;
  const int32_t c = static_cast<int32_t>(blockIdx.x * blockDim.x + threadIdx.x) * 4;
  const bool idle = c >= p.channels;
  let_next_start();
  float w[4][kTaps];
  float bias[4];
  if (!idle) {  // what does not depend on the kernel in front
    load_taps(p.weight, c, w);
    if constexpr (kCodesIn) {
      const float4 scale = scales_of(p.x, 0, c);
#pragma unroll
      for (int k = 0; k < kTaps; ++k) w[0][k] *= scale.x, w[1][k] *= scale.y, w[2][k] *= scale.z, w[3][k] *= scale.w;
    }
    const Vector<4> from = load_parameters<4>(p.bias, c, 0.0f);
#pragma unroll
    for (int j = 0; j < 4; ++j) bias[j] = from.v[j];
  }
  wait_for_previous();
  int32_t tile = static_cast<int32_t>(blockIdx.y);
  Segment s;
  if (idle || !find_tile(p, tile, s)) return;
  const Target<kCodesOut> out(p, c);
  const int32_t first = tile * p.tile, end = min(first + p.tile, s.length);
  Vector<4> window[kTaps];
#pragma unroll
  for (int k = 0; k < kTaps - 1; ++k) {
    window[k] = numbers_in(input_word<Word>(p, s, first - (kTaps - 1) + k, c, sizeof(Word) / 4));
  }
  const Word* x = reinterpret_cast<const Word*>(static_cast<const char*>(p.x.data) +
                                                (static_cast<int64_t>(s.begin) * p.x.stride + c) * (sizeof(Word) / 4));
  const int64_t step = p.x.stride / 4;
  for (int32_t t = first; t < end; t += kBatch) {
    Word words[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) words[i] = x[min(t + i, end - 1) * step];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (t + i >= end) break;
      window[kTaps - 1] = numbers_in(words[i]);
      float y[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        y[j] = bias[j];
#pragma unroll
        for (int k = 0; k < kTaps; ++k) y[j] = fmaf(w[j][k], window[k].v[j], y[j]);
        if (p.silu) y[j] = silu(y[j]);
      }
#pragma unroll
      for (int k = 0; k + 1 < kTaps; ++k) window[k] = window[k + 1];
      out.put(s.begin + t + i, y);
    }
  }
  // Only a segment's first tile reads its state, so it is the one that writes it.
  if (tile == 0) move_state<Word, kTaps>(p, s, c, sizeof(Word) / 4);
}

enum class Content : uint8_t { kOther, kFloats, kCodes };

Content content_of(const Numbers& x) {
  if (x.dtype == DType::kF32) return Content::kFloats;
  return x.dtype == DType::kI8 && (x.by == ScaleBy::kColumn || x.by == ScaleBy::kTensor) ? Content::kCodes
                                                                                         : Content::kOther;
}

}  // namespace

bool run_conv_prompt(const ConvParameters& p, const ConvConfig& config, const Stream& stream) {
  const Content in = content_of(p.x), out = content_of(p.part[0]);
  if (p.tile == 0 || p.taps != kTaps || in == Content::kOther || out == Content::kOther) return false;
  for (int i = 1; i < p.parts; ++i) {
    if (content_of(p.part[i]) != out) return false;
  }
  const bool codes_in = in == Content::kCodes, codes_out = out == Content::kCodes;
  const LaunchShape shape = {dim3(static_cast<unsigned>(config.blocks), static_cast<unsigned>(config.tiles)),
                             dim3(static_cast<unsigned>(config.threads))};
  launch(codes_in    ? codes_out ? causal_conv1d_prompt<true, true> : causal_conv1d_prompt<true, false>
            : codes_out ? causal_conv1d_prompt<false, true>
                     : causal_conv1d_prompt<false, false>,
         shape, stream, p);
  return true;
}

}  // namespace quamba2::cuda
