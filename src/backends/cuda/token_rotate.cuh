// SPDX-License-Identifier: Apache-2.0
// The transform of tensor/hadamard.h on a row that scan phases hand on. Its factors commute, so each is applied where the numbers
// are at hand. Column (r * S + s) * C + c, c < C a channel of a scan phase's block:
//
//   scan phase    Sylvester(C) over c, among the lanes of one warp (token_scan.cuh)
//   turn_core     the core of order 12, 20 or 28, or Sylvester(16), over r, in a thread's registers, as numbers come
//   turn_rest     Sylvester(S) over s, S = 1, 2, 4 or 8, through shared memory; numbers are encoded behind it
//
// Other rows take device/hadamard.cuh.
#pragma once

#include <utility>

#include "backends/cuda/token_columns.cuh"
#include "tensor/hadamard_core.h"

namespace quamba2::cuda {

// Sylvester(kCount) in place.
template <int kCount>
__device__ __forceinline__ void butterflies(float (&v)[kCount]) {
#pragma unroll
  for (int d = 1; d < kCount; d *= 2) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (i & d) continue;
      const float a = v[i], b = v[i + d];
      v[i] = a + b, v[i + d] = a - b;
    }
  }
}

// out[r] += what numbers g .. g + 3 count for in row r, of their sums.
template <int kOrder, int g, int r>
__device__ __forceinline__ void add_part(const float (&sum)[2][2][2], float (&out)[kOrder]) {
  constexpr uint32_t kMinus = kCoreSigns<kOrder>.minus[r] >> g;
  constexpr int a = kMinus & 1, b = kMinus >> 1 & 1, c = kMinus >> 2 & 1, d = kMinus >> 3 & 1;
  const float part = sum[a ^ b][c ^ d][a ^ c];
  out[r] = a ? out[r] - part : out[r] + part;
}
template <int kOrder, int g, int... rows>
__device__ __forceinline__ void add_parts(const float (&v)[kOrder], float (&out)[kOrder],
                                          std::integer_sequence<int, rows...>) {
  const float first[2] = {v[g] + v[g + 1], v[g] - v[g + 1]}, second[2] = {v[g + 2] + v[g + 3], v[g + 2] - v[g + 3]};
  float sum[2][2][2];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum[i / 2][i % 2][0] = first[i / 2] + second[i % 2];
    sum[i / 2][i % 2][1] = first[i / 2] - second[i % 2];
  }
  (add_part<kOrder, g, rows>(sum, out), ...);
}

// The core in place. Of four numbers there are eight sums but for the sign, and each is used by several rows: 160 additions
// at order 20 instead of 380.
template <int kOrder>
__device__ __forceinline__ void turn_core(float (&v)[kOrder]) {
  if constexpr (kOrder == 16) {
    butterflies(v);
  } else {
    float out[kOrder] = {};
    [&]<int... groups>(std::integer_sequence<int, groups...>) {
      (add_parts<kOrder, 4 * groups>(v, out, std::make_integer_sequence<int, kOrder>{}), ...);
    }(std::make_integer_sequence<int, kOrder / 4>{});
#pragma unroll
    for (int r = 0; r < kOrder; ++r) v[r] = out[r];
  }
}

// Sylvester(1 << kLevels) over s, for columns of this thread: put(column, number) for each result.
template <int kLevels, class Put>
__device__ __forceinline__ void turn_rest(const float* values, int32_t width, int32_t channels_shift, Put put) {
  constexpr int kCount = 1 << kLevels;
  const int32_t channels = 1 << channels_shift;
#pragma unroll 1
  for (int32_t u = static_cast<int32_t>(threadIdx.x); u < width >> kLevels; u += kTokenThreads) {
    const int32_t column = (u >> channels_shift << (channels_shift + kLevels)) + (u & (channels - 1));
    float v[kCount];
#pragma unroll
    for (int s = 0; s < kCount; ++s) v[s] = values[column + (s << channels_shift)];
    butterflies(v);
#pragma unroll
    for (int s = 0; s < kCount; ++s) put(column + (s << channels_shift), v[s]);
  }
}
template <class Put>
__device__ __forceinline__ void turn_rest(int32_t levels, const float* values, int32_t width, int32_t channels_shift,
                                          Put put) {
  switch (levels) {
    case 0: return turn_rest<0>(values, width, channels_shift, put);
    case 1: return turn_rest<1>(values, width, channels_shift, put);
    case 2: return turn_rest<2>(values, width, channels_shift, put);
    default: return turn_rest<3>(values, width, channels_shift, put);
  }
}

// H values, in place. Begins with each thread's own runs written; ends with all threads' seen.
__device__ __noinline__ void rotate_any(const HadamardShape& h, float* values, float* other) {
  hadamard_runs(values, h);
#pragma unroll 1
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < h.width; i += kTokenThreads) other[i] = hadamard_element(values, h, i);
  __syncthreads();
#pragma unroll 1
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < h.width; i += kTokenThreads) values[i] = other[i];
  __syncthreads();
}

}  // namespace quamba2::cuda
