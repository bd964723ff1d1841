// SPDX-License-Identifier: Apache-2.0
// Rows of a block of kTokenThreads in shared memory: a thread has runs of four columns, 4 * kTokenThreads apart, so that a warp
// has 128 neighbours. What it does to its own needs no barrier.
//
// Loops are not unrolled on purpose: a phase's code runs once, and what does not fit the cache of instructions costs more than
// it does.
#pragma once

#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/token_program.cuh"

namespace quamba2::cuda {

__device__ __forceinline__ int32_t first_column() { return static_cast<int32_t>(threadIdx.x) * 4; }
template <class F>
__device__ __forceinline__ void visit_columns(int32_t width, F f) {
#pragma unroll 1
  for (int32_t column = first_column(); column < width; column += 4 * kTokenThreads) f(column);
}

__device__ __forceinline__ float4 four_at(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ __forceinline__ void put_four(float* p, float4 v) { *reinterpret_cast<float4*>(p) = v; }
__device__ __forceinline__ float4 scaled(float4 v, float f) { return {v.x * f, v.y * f, v.z * f, v.w * f}; }

// What norms and codes ask of a row: the sum of its squares, and its largest magnitude.
struct Measure {
  float sum = 0, largest = 0;
  __device__ __forceinline__ void add(float4 v) {
    sum += v.x * v.x + v.y * v.y + (v.z * v.z + v.w * v.w);
    largest = fmaxf(fmaxf(fmaxf(largest, fabsf(v.x)), fmaxf(fabsf(v.y), fabsf(v.z))), fabsf(v.w));
  }
};
__device__ __forceinline__ Measure measure_columns(const float* values, int32_t width, float factor) {
  Measure m;
  visit_columns(width, [&](int32_t column) { m.add(scaled(four_at(values + column), factor)); });
  return m;
}

// Over a block, with one barrier: turns of two buffers, each of two floats a warp.
class BlockReducer {
 public:
  static constexpr int kFloats = 4 * kTokenWarps;
  __device__ __forceinline__ explicit BlockReducer(float* shared) : shared_(shared) {}

  __device__ __forceinline__ Measure reduce(Measure m) {
    m.sum = warp_sum(m.sum), m.largest = warp_max(m.largest);
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
