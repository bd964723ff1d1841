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
  int32_t width, core, run;  // width = core * run, run a power of 2
  float scale;
  uint32_t minus[kLargestCore];
};

inline HadamardShape hadamard_shape(int32_t width, bool transposed) {
  HadamardShape h = {};
  h.width = width;
  h.core = hadamard_core_order(width);
  h.run = width / h.core;
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

// kPoints = 2, 4 or 8 points of a butterfly, `half` apart, at once: 1 to 3 levels in one pass.
template <int kPoints>
__device__ __forceinline__ void butterfly_pass(float* values, int32_t width, int32_t half) {
  for (int32_t q = static_cast<int32_t>(threadIdx.x); q < width / kPoints; q += static_cast<int32_t>(blockDim.x)) {
    float* at = values + (q / half) * (half * kPoints) + q % half;
    float v[kPoints];
#pragma unroll
    for (int k = 0; k < kPoints; ++k) v[k] = at[k * half];
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
    for (int k = 0; k < kPoints; ++k) at[k * half] = v[k];
  }
  __syncthreads();
}

// values <- the transform without its scale and core; begins and ends with all threads' writes seen.
__device__ __forceinline__ void hadamard_runs(float* values, const HadamardShape& h) {
  __syncthreads();
  int32_t half = 1;
  for (; half * 8 <= h.run; half *= 8) butterfly_pass<8>(values, h.width, half);
  if (half * 4 <= h.run) {
    butterfly_pass<4>(values, h.width, half);
  } else if (half * 2 <= h.run) {
    butterfly_pass<2>(values, h.width, half);
  }
}

// Element `i` of the transform of what hadamard_runs left.
__device__ __forceinline__ float hadamard_element(const float* values, const HadamardShape& h, int32_t i) {
  if (h.core == 1) return values[i] * h.scale;
  const int32_t row = i / h.run;
  const float* column = values + i % h.run;
  const uint32_t minus = h.minus[row];
  float sum = 0;
  for (int32_t l = 0; l < h.core; ++l) {
    const float v = column[l * h.run];
    sum += minus >> l & 1 ? -v : v;
  }
  return sum * h.scale;
}

}  // namespace quamba2::cuda
