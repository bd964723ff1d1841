// SPDX-License-Identifier: Apache-2.0
// causal_conv1d: a thread has a few channels and walks a tile of a segment's tokens with the last inputs in registers.
#include "backends/cuda/causal_conv1d.cuh"
#include "backends/cuda/causal_conv1d_rows.h"

namespace quamba2 {
namespace cuda {
namespace {

template <int kWidth>
__device__ __forceinline__ void store_output(const ConvParameters& p, int64_t token, int32_t c, Vector<kWidth> y) {
  if (p.silu) {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) y.v[k] = silu(y.v[k]);
  }
#pragma unroll
  for (int i = 0; i < kMaxParts; ++i) {
    if (i < p.parts && c >= p.begin[i] && c < p.begin[i + 1]) return store_vector(p.part[i], token, c - p.begin[i], y);
  }
}

// Blocks [channels, tiles]. kTaps = 0 for any number, read again for every token.
template <int kWidth, int kTaps>
__global__ void causal_conv1d_kernel(const __grid_constant__ ConvParameters p) {
  const int32_t c = static_cast<int32_t>(blockIdx.x * blockDim.x + threadIdx.x) * kWidth;
  const int32_t taps = kTaps > 0 ? kTaps : p.taps;
  let_next_start();
  float w[kWidth][kTaps > 0 ? kTaps : 1];
  if (kTaps > 0 && c < p.channels) {  // weights are there before the kernel in front ends
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
#pragma unroll
      for (int k = 0; k < kTaps; ++k) w[j][k] = load_number(p.weight, c + j, k);
    }
  }
  wait_for_previous();
  if (c >= p.channels) return;
  int32_t tile = static_cast<int32_t>(blockIdx.y);
  Segment s;
  if (p.tile == 0) {  // one token each
    s = p.segment[tile];
    tile = 0;
  } else if (!find_tile(p, tile, s)) {
    return;
  }
  const Vector<kWidth> bias = load_parameters<kWidth>(p.bias, c, 0.0f);
  const int32_t first = p.tile == 0 ? 0 : tile * p.tile;
  const int32_t end = p.tile == 0 || first + p.tile > s.length ? s.length : first + p.tile;
  Vector<kWidth> window[kTaps > 0 ? kTaps : 1];
  if constexpr (kTaps > 1) {
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k) window[k] = history<kWidth>(p, s, first - (kTaps - 1) + k, c);
  }
  for (int32_t t = first; t < end; ++t) {
    Vector<kWidth> y = bias;
    if constexpr (kTaps > 0) {
      window[kTaps - 1] = load_vector<kWidth>(p.x, s.begin + t, c);
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
#pragma unroll
        for (int j = 0; j < kWidth; ++j) y.v[j] += w[j][k] * window[k].v[j];
        if (k + 1 < kTaps) window[k] = window[k + 1];
      }
    } else {
      for (int32_t k = 0; k < taps; ++k) {
        const Vector<kWidth> x = history<kWidth>(p, s, t - (taps - 1) + k, c);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) y.v[j] += load_number(p.weight, c + j, k) * x.v[j];
      }
    }
    store_output(p, s.begin + t, c, y);
  }
  // Only a segment's first tile reads its state, so it is the one that writes it.
  if (tile != 0) return;
  if constexpr (kWidth == 4) {
    if (p.x.dtype == DType::kI8) {
      move_state<uint32_t, kTaps>(p, s, c, 1);
    } else if (p.x.dtype == DType::kF32) {
      move_state<uint4, kTaps>(p, s, c, 4);
    } else {
      move_state<uint2, kTaps>(p, s, c, 2);
    }
  } else {
    if (p.x.dtype == DType::kI8) {
      move_state<uint8_t, kTaps>(p, s, c, 1);
    } else if (p.x.dtype == DType::kF32) {
      move_state<uint32_t, kTaps>(p, s, c, 4);
    } else {
      move_state<uint16_t, kTaps>(p, s, c, 2);
    }
  }
}

Numbers state_numbers(const CausalConv1dArgs& a) {
  Numbers n = numbers_of(a.x);  // the same format and scales
  n.data = a.state.values.data;
  n.stride = a.state.values.stride[1];
  return n;
}

Verdict supports_conv(const CausalConv1dArgs& a) {
  if (const char* reason = refuse_static_numbers(a.x)) return {reason};
  if (!(a.state.format == a.x.format)) return {"needs a state in the format of its input"};
  const TensorView& state = a.state.values;
  if (state.dim[1] > 0 && state.stride[0] != state.stride[1] * state.dim[1]) return {"needs contiguous states"};
  const Format& w = a.weight.format;
  if (w.storage == DType::kF64 || (!is_float(w.storage) && w.storage != DType::kI8))
    return {"needs float or i8 weights"};
  if (w.levels > 1 || (w.levels == 1 && w.level[0].grain != Grain::kRow && w.level[0].grain != Grain::kTensor))
    return {"needs weight scales a row or tensor"};
  if (a.bias.data != nullptr && a.bias.dtype != DType::kF32) return {"needs an f32 bias"};
  for (int i = 0; i < a.out.count; ++i) {
    if (const char* reason = refuse_static_numbers(a.out.part[i])) return {reason};
  }
  return {};
}

bool all_in_fours(const CausalConv1dArgs& a) {
  if (!in_fours(a.x) || !in_fours(a.bias) || a.state.values.stride[1] % 4 != 0) return false;
  if (!aligned_to(a.state.values.data, static_cast<size_t>(bits_of(a.x.values.dtype)) / 2)) return false;
  for (int i = 0; i < a.out.count; ++i) {
    if (!in_fours(a.out.part[i]) || a.out.begin[i] % 4 != 0) return false;
  }
  return true;
}

using ConvKernel = void (*)(ConvParameters);
ConvKernel kernel_for(int32_t taps, bool fours) {
  switch (taps) {
    case 2: return fours ? causal_conv1d_kernel<4, 2> : causal_conv1d_kernel<1, 2>;
    case 3: return fours ? causal_conv1d_kernel<4, 3> : causal_conv1d_kernel<1, 3>;
    case 4: return fours ? causal_conv1d_kernel<4, 4> : causal_conv1d_kernel<1, 4>;
    default: return fours ? causal_conv1d_kernel<4, 0> : causal_conv1d_kernel<1, 0>;
  }
}

void run_conv(const CausalConv1dArgs& a, const Stream& stream) {
  ConvParameters p = {};
  p.x = numbers_of(a.x), p.state = state_numbers(a), p.weight = numbers_of(a.weight);
  p.channels = a.weight.values.dim[0], p.taps = a.weight.values.dim[1];
  p.parts = a.out.count;
  for (int i = 0; i < a.out.count; ++i) p.part[i] = numbers_of(a.out.part[i]);
  for (int i = 0; i <= a.out.count; ++i) p.begin[i] = a.out.begin[i];
  p.bias = static_cast<const float*>(a.bias.data);
  p.segment = a.segments, p.segments = a.segment_count;
  p.silu = a.activation == Activation::kSilu;
  const bool fours = all_in_fours(a);
  const ConvConfig config = conv_config(a.x.values.dim[0], a.segment_count, p.channels, p.taps, fours ? 4 : 1);
  p.tile = config.tile;
  if (fours && (run_conv_prompt(p, config, stream) || run_conv_step(p, stream))) return;
  LaunchShape shape;
  shape.block = dim3(static_cast<unsigned>(config.threads));
  shape.grid = dim3(static_cast<unsigned>(config.blocks), static_cast<unsigned>(config.tiles));
  launch(kernel_for(p.taps, fours), shape, stream, p);
}

constexpr Kernel<CausalConv1dArgs> kConv[] = {{"causal_conv1d", supports_conv, run_conv}};

}  // namespace
}  // namespace cuda

KernelRows<CausalConv1dArgs> cuda_causal_conv1d_rows() { return {cuda::kConv, 1}; }

}  // namespace quamba2
