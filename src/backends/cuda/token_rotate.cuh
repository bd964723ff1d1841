// SPDX-License-Identifier: Apache-2.0
// The transform of tensor/hadamard.h on a row of a token's block: butterflies between the 128 neighbours of a warp in its
// registers, then the core, together with the last level where runs are of 256. Other shapes take device/hadamard.cuh.
#pragma once

#include "backends/cuda/token_columns.cuh"

namespace quamba2::cuda {

// Whether the transform is the quick one, which leaves its result in the other buffer.
__device__ __forceinline__ bool ends_in_other(const HadamardShape& h) { return h.core > 1 && h.run_shift <= 8; }

// Levels of up to 128 neighbours. Runs of fewer stay among lanes that stand together.
__device__ __forceinline__ float4 butterflies_of_lanes(float4 v, int32_t run_shift) {
  if (run_shift >= 1) v = {v.x + v.y, v.x - v.y, v.z + v.w, v.z - v.w};
  if (run_shift >= 2) v = {v.x + v.z, v.y + v.w, v.x - v.z, v.y - v.w};
#pragma unroll 1
  for (int32_t l = 2; l < min(run_shift, 7); ++l) {
    const int d = 1 << (l - 2);
    const float mine = threadIdx.x & d ? -1.0f : 1.0f;
    v.x = fmaf(mine, v.x, __shfl_xor_sync(kAllLanes, v.x, d));
    v.y = fmaf(mine, v.y, __shfl_xor_sync(kAllLanes, v.y, d));
    v.z = fmaf(mine, v.z, __shfl_xor_sync(kAllLanes, v.z, d));
    v.w = fmaf(mine, v.w, __shfl_xor_sync(kAllLanes, v.w, d));
  }
  return v;
}

// Four outputs of a column of the core, or of two columns 128 apart, and their sum and difference. What number l counts for in
// them is read once for all columns of a warp.
template <bool kPair>
__device__ __forceinline__ void rotate_core(const HadamardShape& h, const float* values, const float* signs,
                                            float scale, float* out) {
  const int32_t shift = min(h.run_shift, 7);
#pragma unroll 1
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < (h.core / 4) << shift; i += kTokenThreads) {
    const int32_t column = i & ((1 << shift) - 1), first = (i >> shift) * 4;
    float sum[4] = {}, other[4] = {};
#pragma unroll 4
    for (int32_t l = 0; l < h.core; ++l) {
      const float* at = values + column + (l << h.run_shift);
      const float a = kPair ? at[0] + at[128] : at[0], b = kPair ? at[0] - at[128] : 0.0f;
      const float4 sign = four_at(signs + l * kLargestCore + first);
      sum[0] = fmaf(sign.x, a, sum[0]), sum[1] = fmaf(sign.y, a, sum[1]);
      sum[2] = fmaf(sign.z, a, sum[2]), sum[3] = fmaf(sign.w, a, sum[3]);
      if (!kPair) continue;
      other[0] = fmaf(sign.x, b, other[0]), other[1] = fmaf(sign.y, b, other[1]);
      other[2] = fmaf(sign.z, b, other[2]), other[3] = fmaf(sign.w, b, other[3]);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float* to = out + column + ((first + k) << h.run_shift);
      to[0] = sum[k] * scale;
      if (kPair) to[128] = other[k] * scale;
    }
  }
}

__device__ __noinline__ void rotate_any(const HadamardShape& h, const float* signs, float factor, float* values,
                                        float* other) {
  hadamard_runs(values, h);
  visit_columns(h.width, [&](int32_t column) {
    float four[4];
    for (int k = 0; k < 4; ++k) four[k] = hadamard_element(values, h, column + k) * factor;
    put_four(other + column, {four[0], four[1], four[2], four[3]});
  });
  __syncthreads();
  visit_columns(h.width, [&](int32_t column) { put_four(values + column, four_at(other + column)); });
  __syncthreads();
}

// H (values * factor). Begins with each thread's own numbers; ends with all threads' seen.
__device__ __forceinline__ void rotate(const HadamardShape& h, const float* signs, float factor, float* values,
                                       float* other) {
  if (!ends_in_other(h)) return rotate_any(h, signs, factor, values, other);
#pragma unroll 1
  for (int32_t base = 0; base < h.width; base += 4 * kTokenThreads) {
    const int32_t column = base + first_column();
    const bool is_there = column < h.width;
    const float4 v = butterflies_of_lanes(is_there ? four_at(values + column) : float4{}, h.run_shift);
    if (is_there) put_four(values + column, v);
  }
  __syncthreads();
  if (h.run_shift == 8)
    rotate_core<true>(h, values, signs, h.scale * factor, other);
  else
    rotate_core<false>(h, values, signs, h.scale * factor, other);
  __syncthreads();
}

}  // namespace quamba2::cuda
