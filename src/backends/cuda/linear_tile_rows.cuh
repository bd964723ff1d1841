// SPDX-License-Identifier: Apache-2.0
// Activations of many tokens as linear_many_rows multiplies them: [k_blocks][tokens, rounded up][128 bytes]
// (linear_layout.h), codes as they are, floats as f16 (bf16 for bf16 weights) under a power of two a row.
#pragma once

#include "backends/cuda/linear_few_rows.cuh"

namespace quamba2::cuda {

struct TileRows {
  Numbers x;
  char* to;
  float* up;  // [tokens]: powers of two that undo those of f16 rows
  int32_t tokens, padded_tokens, inner, blocks;
};

template <WeightKind kKind>
__device__ __forceinline__ uint32_t tile_word(const TileRows& p, int32_t token, int32_t column, float down,
                                              bool words) {
  if constexpr (multiplies_codes(kKind)) {
    const int8_t* row = static_cast<const int8_t*>(p.x.data) + static_cast<int64_t>(token) * p.x.stride;
    if (words && column + 4 <= p.inner) return *reinterpret_cast<const uint32_t*>(row + column);
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (column + i < p.inner) word |= static_cast<uint32_t>(static_cast<uint8_t>(row[column + i])) << (8 * i);
    }
    return word;
  } else {
    float v[2] = {0, 0};
    if (words && column + 2 <= p.inner) {
      const float2 both = *reinterpret_cast<const float2*>(static_cast<const float*>(p.x.data) +
                                                           static_cast<int64_t>(token) * p.x.stride + column);
      v[0] = both.x, v[1] = both.y;
    } else {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if (column + i < p.inner) v[i] = load_number(p.x, token, column + i);
      }
    }
    if constexpr (kKind == WeightKind::kBF16) {
      const __nv_bfloat162 pair = __floats2bfloat162_rn(v[0] * down, v[1] * down);
      return *reinterpret_cast<const uint32_t*>(&pair);
    } else {
      return as_bits(__floats2half2_rn(v[0] * down, v[1] * down));
    }
  }
}

// A block a token.
template <WeightKind kKind>
__global__ void __launch_bounds__(256) tile_rows(const __grid_constant__ TileRows p) {
  __shared__ float shared[33];
  let_next_start();
  wait_for_previous();
  const int32_t token = blockIdx.x;
  const int64_t row_bytes = static_cast<int64_t>(p.x.stride) * (multiplies_codes(kKind) ? 1 : 4);
  const int align = multiplies_codes(kKind) ? 4 : 8;
  const bool words = (multiplies_codes(kKind) || p.x.dtype == DType::kF32) &&
                     (row_bytes | reinterpret_cast<int64_t>(p.x.data)) % align == 0;
  PowerOfTwo power = {1.0f, 1.0f};
  if constexpr (!multiplies_codes(kKind)) {
    float largest = 0;
    for (int32_t k = threadIdx.x; k < p.inner; k += 256) largest = fmaxf(largest, fabsf(load_number(p.x, token, k)));
    power = power_for(block_max(largest, shared));
    if (threadIdx.x == 0) p.up[token] = power.up;
  }
  for (int32_t i = threadIdx.x; i < p.blocks * 8; i += 256) {
    const int piece = i % 8;
    const int32_t block = i / 8, first = block * block_columns(kKind);
    uint32_t w[4];
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      w[q] = tile_word<kKind>(p, token, first + word_column(kKind, piece, q), power.down, words);
    }
    char* row = p.to + (static_cast<int64_t>(block) * p.padded_tokens + token) * 128;
    *reinterpret_cast<uint4*>(row + (piece ^ token % 8) * 16) = make_uint4(w[0], w[1], w[2], w[3]);
  }
}

}  // namespace quamba2::cuda
