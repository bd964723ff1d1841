// SPDX-License-Identifier: Apache-2.0
// Rows of a block of kTokenThreads: a thread has runs of four columns, 4 * kTokenThreads apart, in its registers or in shared
// memory; what it does to its own needs no barrier.
#pragma once

#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/token_program.cuh"

namespace quamba2::cuda {

__device__ __forceinline__ int32_t first_column() { return static_cast<int32_t>(threadIdx.x) * 4; }

__device__ __forceinline__ float4 four_at(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ __forceinline__ void put_four(float* p, float4 v) { *reinterpret_cast<float4*>(p) = v; }
__device__ __forceinline__ float4 scaled(float4 v, float f) { return {v.x * f, v.y * f, v.z * f, v.w * f}; }
__device__ __forceinline__ float4 times(float4 a, float4 b) { return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w}; }
__device__ __forceinline__ float4 plus(float4 a, float4 b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }

// f(j, column) for the runs of this thread.
template <class F>
__device__ __forceinline__ void visit_runs(int32_t width, F f) {
#pragma unroll
  for (int j = 0; j < kRowVectors; ++j) {
    const int32_t column = first_column() + j * 4 * kTokenThreads;
    if (column < width) f(j, column);
  }
}

// What norms and codes ask of a row: the sum of its squares, and its largest magnitude.
struct Measure {
  float sum = 0, largest = 0;
  __device__ __forceinline__ void add(float4 v) {
    sum += v.x * v.x + v.y * v.y + (v.z * v.z + v.w * v.w);
    largest = fmaxf(fmaxf(fmaxf(largest, fabsf(v.x)), fmaxf(fabsf(v.y), fabsf(v.z))), fabsf(v.w));
  }
  __device__ __forceinline__ void add(float v) { sum += v * v, largest = fmaxf(largest, fabsf(v)); }
};

// Over a block, with one barrier: turns of two buffers, each of two floats a warp.
class BlockReducer {
 public:
  static constexpr int kFloats = 4 * kTokenWarps;
  __device__ __forceinline__ explicit BlockReducer(float* shared) : shared_(shared) {}

  __device__ __forceinline__ Measure reduce(Measure m) {
#pragma unroll
    for (int d = 16; d > 0; d /= 2) {
      m.sum += __shfl_xor_sync(kAllLanes, m.sum, d);
      m.largest = fmaxf(m.largest, __shfl_xor_sync(kAllLanes, m.largest, d));
    }
    float2* at = reinterpret_cast<float2*>(shared_) + turn_ * kTokenWarps;
    turn_ ^= 1;
    if (threadIdx.x % 32 == 0) at[threadIdx.x / 32] = {m.sum, m.largest};
    __syncthreads();
    const float2 mine = at[threadIdx.x % kTokenWarps];  // the same in both halves of every warp
    m = {mine.x, mine.y};
#pragma unroll
    for (int d = kTokenWarps / 2; d > 0; d /= 2) {
      m.sum += __shfl_xor_sync(kAllLanes, m.sum, d);
      m.largest = fmaxf(m.largest, __shfl_xor_sync(kAllLanes, m.largest, d));
    }
    return m;
  }

 private:
  float* shared_;
  int turn_ = 0;
};

}  // namespace quamba2::cuda
