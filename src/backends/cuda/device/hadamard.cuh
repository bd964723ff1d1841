// SPDX-License-Identifier: Apache-2.0
// The transform of tensor/hadamard.h on a row in shared memory, for all threads of a block.
#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/hadamard.h"

namespace quamba2::cuda {

constexpr int kLargestCore = 28;

// Row i of the core H_m has -1 where bit l of minus[i] is set.
struct HadamardShape {
  int32_t width, core, run, run_shift;  // width = core * run, run = 1 << run_shift
  float scale;
  uint32_t minus[kLargestCore];
};

inline HadamardShape hadamard_shape(int32_t width, bool transposed) {
  HadamardShape h = {};
  h.width = width;
  h.core = hadamard_core_order(width);
  h.run = width / h.core;
  while (1 << h.run_shift < h.run) ++h.run_shift;
  h.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
  const int8_t* core = hadamard_core(h.core);
  for (int i = 0; i < h.core; ++i) {
    for (int l = 0; l < h.core; ++l) {
      const int8_t sign = transposed ? core[l * h.core + i] : core[i * h.core + l];
      if (sign < 0) h.minus[i] |= 1u << l;
    }
  }
  return h;
}

// kPoints = 2, 4 or 8 points of a butterfly, 1 << shift apart, at once: 1 to 3 levels in one pass.
template <int kPoints>
__device__ __forceinline__ void butterfly_pass(float* values, int32_t width, int32_t shift) {
  const int32_t half = 1 << shift;
  for (int32_t q = static_cast<int32_t>(threadIdx.x); q < width / kPoints; q += static_cast<int32_t>(blockDim.x)) {
    float* at = values + (q >> shift) * (half * kPoints) + (q & (half - 1));
    float v[kPoints];
#pragma unroll
    for (int k = 0; k < kPoints; ++k) v[k] = at[k << shift];
#pragma unroll
    for (int d = 1; d < kPoints; d *= 2) {
#pragma unroll
      for (int k = 0; k < kPoints; ++k) {
        if (k & d) continue;
        const float a = v[k], b = v[k + d];
        v[k] = a + b;
        v[k + d] = a - b;
      }
    }
#pragma unroll
    for (int k = 0; k < kPoints; ++k) at[k << shift] = v[k];
  }
  __syncthreads();
}

// The first three levels: a thread's eight points are neighbours, which it reads and writes in two pieces.
__device__ __forceinline__ void first_pass(float* values, int32_t width) {
  for (int32_t q = static_cast<int32_t>(threadIdx.x); q < width / 8; q += static_cast<int32_t>(blockDim.x)) {
    float4* at = reinterpret_cast<float4*>(values) + 2 * q;
    const float4 a = at[0], b = at[1];
    const float s0 = a.x + a.y, d0 = a.x - a.y, s1 = a.z + a.w, d1 = a.z - a.w;
    const float s2 = b.x + b.y, d2 = b.x - b.y, s3 = b.z + b.w, d3 = b.z - b.w;
    const float4 low = {s0 + s1, d0 + d1, s0 - s1, d0 - d1}, high = {s2 + s3, d2 + d3, s2 - s3, d2 - d3};
    at[0] = {low.x + high.x, low.y + high.y, low.z + high.z, low.w + high.w};
    at[1] = {low.x - high.x, low.y - high.y, low.z - high.z, low.w - high.w};
  }
  __syncthreads();
}

// values <- the transform without its scale and core; begins and ends with all threads' writes seen.
__device__ __forceinline__ void hadamard_runs(float* values, const HadamardShape& h) {
  __syncthreads();
  int32_t shift = 0;
  if (h.run_shift >= 3) {
    first_pass(values, h.width);
    shift = 3;
  }
  for (; shift + 3 <= h.run_shift; shift += 3) butterfly_pass<8>(values, h.width, shift);
  if (shift + 2 == h.run_shift) {
    butterfly_pass<4>(values, h.width, shift);
  } else if (shift + 1 == h.run_shift) {
    butterfly_pass<2>(values, h.width, shift);
  }
}

// Element `i` of the transform of what hadamard_runs left.
__device__ __forceinline__ float hadamard_element(const float* values, const HadamardShape& h, int32_t i) {
  if (h.core == 1) return values[i] * h.scale;
  const int32_t row = i >> h.run_shift;
  const float* column = values + (i & (h.run - 1));
  const uint32_t minus = h.minus[row];
  float sum = 0;
#pragma unroll 4
  for (int32_t l = 0; l < h.core; ++l) {
    const float v = column[l << h.run_shift];
    sum += minus >> l & 1 ? -v : v;
  }
  return sum * h.scale;
}

}  // namespace quamba2::cuda
