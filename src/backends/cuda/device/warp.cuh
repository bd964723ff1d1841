// SPDX-License-Identifier: Apache-2.0
// Reductions over the lanes of a warp and the threads of a block.
#pragma once

#include <cstdint>

namespace quamba2::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) v += __shfl_xor_sync(kAllLanes, v, d);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, d));
  return v;
}

// Over all threads of a block whose size is a multiple of 32; `shared` holds 33 floats. Every thread receives the result.
template <class Combine>
__device__ __forceinline__ float block_reduce(float v, float* shared, Combine combine) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) v = combine(v, __shfl_xor_sync(kAllLanes, v, d));
  const int warps = blockDim.x / 32;
  __syncthreads();  // `shared` may be in use from the call before
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  v = shared[0];
  for (int i = 1; i < warps; ++i) v = combine(v, shared[i]);
  return v;
}
__device__ __forceinline__ float block_sum(float v, float* shared) {
  return block_reduce(v, shared, [](float a, float b) { return a + b; });
}
__device__ __forceinline__ float block_max(float v, float* shared) {
  return block_reduce(v, shared, [](float a, float b) { return fmaxf(a, b); });
}

}  // namespace quamba2::cuda
