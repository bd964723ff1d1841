// SPDX-License-Identifier: Apache-2.0
// The row of out_proj: what the scan hands on, its norm, its rotation, and what is multiplied.
//
// The transform (tensor/hadamard.h) of E = parts * channels numbers is (core (x) Sylvester) on parts times Sylvester on the
// channels of each. A scan's block has done the latter to its part. What is left is one product, parts by parts, with the
// matrix of all parts and channels, on tensor cores: its left operand is +1 and -1 (or the identity, where nothing is rotated),
// its right operand each number as a sum of three bf16, which has all its bits.
#pragma once

#include "backends/cuda/token_exchange.cuh"
#include "backends/cuda/token_operand.cuh"

namespace quamba2::cuda {

__device__ __forceinline__ float2 as_floats(uint32_t brain_pair) {
  return {__uint_as_float(brain_pair << 16), __uint_as_float(brain_pair & 0xffff0000u)};
}
// Two numbers as sums of kLevels bf16, pairs in words.
__device__ __forceinline__ void split_pair(float a, float b, uint32_t (&level)[kLevels]) {
#pragma unroll
  for (int i = 0; i < kLevels; ++i) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(level[i]) : "f"(b), "f"(a));
    const float2 taken = as_floats(level[i]);
    a -= taken.x, b -= taken.y;
  }
}

// Fragments of the right operand, [16, 8], of numbers that lie in rows of K: of one level, or of two.
__device__ __forceinline__ void load_transposed(uint32_t (&b)[2], const char* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(b[0]), "=r"(b[1])
               : "r"(shared_address(row)));
}

struct TurnedRow {
  const TokenProgram& p;
  int32_t channels, channel_shift, parts, plane;  // plane: bytes of a level
  char* levels;
  float2* shared;  // a pair a warp
  float* factors;  // [kMostNormGroups + kMostParts]

  __device__ __forceinline__ TurnedRow(const TokenProgram& p, char* levels, float2* shared, float* factors)
      : p(p),
        channels(1 << p.turn.channel_shift),
        channel_shift(p.turn.channel_shift),
        parts(p.scan.heads * p.scan.parts),
        plane(p.turn.tiles * 16 * turn_row_bytes(channels)),
        levels(levels),
        shared(shared),
        factors(factors) {}

  // What the norm multiplies all numbers by, once the barrier that follows this is behind; where groups have their own, they
  // are multiplied here.
  __device__ __forceinline__ void measure(float square, HandedRow<kInnerVectors>* row) const {
    const auto t = static_cast<int32_t>(threadIdx.x);
    if (p.turn.groups == 1) {
      if (t / 32 * 32 >= parts) return;
      const float sum = warp_sum(square);
      if (t % 32 == 0) shared[t / 32].x = sum;
      return;
    }
    float* const squares = factors + kMostNormGroups;
    const int32_t each = parts / p.turn.groups, width = parts * channels;
    if (t < parts) squares[t] = square;
    __syncthreads();
    if (t < p.turn.groups) {
      float sum = 0;
      for (int32_t i = 0; i < each; ++i) sum += squares[t * each + i];
      factors[t] = rsqrtf(sum / static_cast<float>(each * channels) + p.turn.eps);
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kInnerVectors; ++i) {
      const int32_t column = row->column_of(i);
      if (column >= width) break;
      const float by = factors[(column >> channel_shift) / each];
      const float4 v = numbers_in(row->w[i]);
      row->w[i] = {__float_as_uint(v.x * by), __float_as_uint(v.y * by), __float_as_uint(v.z * by),
                   __float_as_uint(v.w * by)};
    }
  }
  __device__ __forceinline__ float factor() const {
    if (!p.turn.has_norm || p.turn.groups > 1) return p.turn.scale;
    float sum = 0;
#pragma unroll 1
    for (int32_t w = 0; w * 32 < parts; ++w) sum += shared[w].x;
    return p.turn.scale * rsqrtf(sum / static_cast<float>(parts * channels) + p.turn.eps);
  }

  // Takes what the scan hands on, and leaves it in levels. A barrier must follow.
  __device__ __forceinline__ void take(Turn turn) const {
    const auto t = static_cast<int32_t>(threadIdx.x);
    const int32_t width = parts * channels;
    const uint32_t* from = p.scan_results + turn.place * p.scan_words;
    const bool has_square = p.turn.has_norm && t < parts;
    HandedRow<kInnerVectors> row;
    row.ask(from, width);
    uint32_t square = 0;
    if (has_square) square = poll_one(from + width + t);
    row.wait(from, width, turn.mark);
    const float taken = has_square ? take_one(from + width + t, square, turn.mark) : 0.0f;
    if (p.turn.has_norm) measure(taken, &row);
    const int32_t row_bytes = turn_row_bytes(channels);
#pragma unroll
    for (int i = 0; i < kInnerVectors; ++i) {
      const int32_t column = row.column_of(i);
      if (column >= width) break;
      const float4 v = numbers_in(row.w[i]);
      uint32_t low[kLevels], high[kLevels];
      split_pair(v.x, v.y, low), split_pair(v.z, v.w, high);
      char* to = levels + (column >> channel_shift) * row_bytes + (column & (channels - 1)) * 2;
#pragma unroll
      for (int l = 0; l < kLevels; ++l) *reinterpret_cast<uint2*>(to + l * plane) = {low[l], high[l]};
    }
  }

  // The product, encoded, to `operand`, seen by all threads; gives what results are multiplied by.
  template <WeightKind kKind>
  __device__ __forceinline__ float encode(const LayerTables& layer, const uint4* mix, float2* largest_of,
                                          char* operand) const {
    const auto warp = static_cast<int32_t>(threadIdx.x) / 32, lane = static_cast<int32_t>(threadIdx.x) % 32;
    const int32_t across_shift = channel_shift - 3, tiles = p.turn.tiles, all = tiles << across_shift;
    const int32_t column = (warp & ((1 << across_shift) - 1)) * 8;  // the same in all of a warp's tiles
    const int32_t step = kTokenWarps >> across_shift;               // from a tile of parts to the warp's next
    const int32_t first = warp >> across_shift, row_bytes = turn_row_bytes(channels);
    float sums[kMostTurnTiles][kLevels][4] = {};
    const char* at = levels + (lane % 16) * row_bytes + column * 2;
    const uint4* of_tile = mix + lane;
#pragma unroll 1
    for (int32_t k = 0; warp < all && k < tiles; ++k, at += 16 * row_bytes) {
      uint32_t b[kLevels][2];
#pragma unroll
      for (int l = 0; l < kLevels; ++l) load_transposed(b[l], at + l * plane);
#pragma unroll
      for (int j = 0; j < kMostTurnTiles; ++j) {
        const int32_t tile = first + j * step;
        if (tile >= tiles) break;
        const uint4 words = of_tile[(tile * tiles + k) * 32];
        const uint32_t a[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
        for (int l = 0; l < kLevels; ++l) multiply_bf16(sums[j][l], a, b[l][0], b[l][1]);
      }
    }
    const float by = factor();
    float largest = 0;
#pragma unroll
    for (int j = 0; j < kMostTurnTiles; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sums[j][0][i] = (sums[j][0][i] + (sums[j][1][i] + sums[j][2][i])) * by;
        largest = fmaxf(largest, fabsf(sums[j][0][i]));
      }
    }
    OperandScale scale = {};
    if (!multiplies_codes(kKind) || p.shape[1].x_is_dynamic) {
      largest = warp_largest(largest);
      if (lane == 0) largest_of[warp].x = largest;
      __syncthreads();
      scale = operand_scale<kKind>(true, layer.x_out, warp_largest(largest_of[lane % kTokenWarps].x));
    } else {
      scale = operand_scale<kKind>(false, layer.x_out, 0.0f);
    }
#pragma unroll
    for (int j = 0; j < kMostTurnTiles; ++j) {
      const int32_t tile = first + j * step;
      if (warp >= all || tile >= tiles) break;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int32_t part = tile * 16 + half * 8 + lane / 4;
        if (part < parts)
          put_two<kKind>(operand, (part << channel_shift) + column + lane % 4 * 2, sums[j][0][2 * half] * scale.down,
                         sums[j][0][2 * half + 1] * scale.down);
      }
    }
    __syncthreads();
    return scale.up;
  }
};

}  // namespace quamba2::cuda
