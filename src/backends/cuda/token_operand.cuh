// SPDX-License-Identifier: Apache-2.0
// Numbers of a row as the right operand of a linear phase (linear_layout.h), in shared memory: codes, or floats in two parts.
#pragma once

#include "backends/cuda/device/vectors.cuh"
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/linear_few_rows.cuh"
#include "backends/cuda/token_program.cuh"

namespace quamba2::cuda {

// The largest of numbers that are not negative, over a warp: their bits are in the same order.
__device__ __forceinline__ float warp_largest(float v) {
  return __uint_as_float(__reduce_max_sync(kAllLanes, __float_as_uint(v)));
}

// A sum of squares and a largest magnitude over the block: one barrier. `shared`: a pair a warp.
struct Measure {
  float sum, largest;
  __device__ __forceinline__ void add(float v) { sum += v * v, largest = fmaxf(largest, fabsf(v)); }
};
__device__ __forceinline__ Measure measure_block(Measure m, float2* shared) {
  m.sum = warp_sum(m.sum), m.largest = warp_largest(m.largest);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = {m.sum, m.largest};
  __syncthreads();
  const float2 mine = shared[threadIdx.x % kTokenWarps];  // the same in both halves of every warp
  m = {mine.x, warp_largest(mine.y)};
#pragma unroll
  for (int d = kTokenWarps / 2; d > 0; d /= 2) m.sum += __shfl_xor_sync(kAllLanes, m.sum, d);
  return m;
}

// What numbers are multiplied by before they are encoded, and results afterwards.
struct OperandScale {
  float down, up;
};
// `largest`: of the row's magnitudes, where its scale is its own.
template <WeightKind kKind>
__device__ __forceinline__ OperandScale operand_scale(bool is_dynamic, const StaticScale& fixed, float largest) {
  if constexpr (multiplies_codes(kKind)) {
    if (!is_dynamic) return {fixed.inverse, fixed.scale};
    const float up = fmaxf(largest, 1e-30f) * (1.0f / 127.0f);  // a row of zeros has codes of zero
    return {reciprocal(up), up};
  } else {
    const PowerOfTwo power = power_for(largest);
    return {power.down, power.up};
  }
}

// Two codes, saturated, in the low half of a word.
__device__ __forceinline__ uint32_t two_codes(float a, float b) {
  uint32_t word;
  asm("cvt.pack.sat.s8.s32.b32 %0, %2, %1, 0;" : "=r"(word) : "r"(__float2int_rn(a)), "r"(__float2int_rn(b)));
  return word;
}

// Columns `column`, which is even, and the next.
template <WeightKind kKind>
__device__ __forceinline__ void put_two(char* row, int32_t column, float a, float b) {
  if constexpr (multiplies_codes(kKind)) {
    *reinterpret_cast<uint16_t*>(row + column) = static_cast<uint16_t>(two_codes(a, b));
  } else {
    uint32_t high[2], low[2];
    split_number<kKind == WeightKind::kBF16>(a, &high[0], &low[0]);
    split_number<kKind == WeightKind::kBF16>(b, &high[1], &low[1]);
    char* to = row + split_offset(column);
    *reinterpret_cast<uint32_t*>(to) = high[0] | high[1] << 16;
    *reinterpret_cast<uint32_t*>(to + 8) = low[0] | low[1] << 16;
  }
}

}  // namespace quamba2::cuda
