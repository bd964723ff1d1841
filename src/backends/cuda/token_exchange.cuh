// SPDX-License-Identifier: Apache-2.0
// Numbers that phases hand on: f32 whose lowest bit is a mark, so that 16 bytes hold four and each says by itself whether it is
// there. No other memory depends on them: relaxed accesses do. The mark of a place changes with each use; a number loses its
// lowest bit (codes of 8 bits lose nothing). docs/numerics.md counts it.
#pragma once

#include "backends/cuda/token_program.cuh"

namespace quamba2::cuda {

// Polls after which a number that never comes ends the kernel with an error: seconds, where it takes microseconds.
constexpr int kMostPolls = 1 << 22;

// Of the layers of all runs, counted from 2: memory that was never written has the other mark.
struct Turn {
  uint32_t place, mark;
  __device__ __forceinline__ explicit Turn(uint32_t layer) : place(layer & 1), mark(layer >> 1 & 1) {}
};

__device__ __forceinline__ uint32_t marked(float v, uint32_t mark) { return (__float_as_uint(v) & ~1u) | mark; }
__device__ __forceinline__ float number_in(uint32_t word) { return __uint_as_float(word & ~1u); }

__device__ __forceinline__ void hand_on(uint32_t* to, float v, uint32_t mark) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(to), "r"(marked(v, mark)) : "memory");
}
__device__ __forceinline__ void hand_on(uint32_t* to, float a, float b, uint32_t mark) {
  asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};" ::"l"(to), "r"(marked(a, mark)), "r"(marked(b, mark))
               : "memory");
}

__device__ __forceinline__ uint32_t poll_one(const uint32_t* from) {
  uint32_t word;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(word) : "l"(from) : "memory");
  return word;
}
__device__ __forceinline__ uint4 poll_four(const uint32_t* from) {
  uint4 w;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(w.x), "=r"(w.y), "=r"(w.z), "=r"(w.w)
               : "l"(from)
               : "memory");
  return w;
}
__device__ __forceinline__ bool lacks(uint32_t word, uint32_t mark) { return ((word ^ mark) & 1u) != 0; }
__device__ __forceinline__ bool lacks(const uint4& w, uint32_t mark) {
  return (((w.x ^ mark) | (w.y ^ mark) | (w.z ^ mark) | (w.w ^ mark)) & 1u) != 0;
}
__device__ __forceinline__ float4 numbers_in(const uint4& w) {
  return {number_in(w.x), number_in(w.y), number_in(w.z), number_in(w.w)};
}

// One number, of which `first` is what was there when it was first asked for.
__device__ __forceinline__ float take_one(const uint32_t* from, uint32_t first, uint32_t mark) {
#pragma unroll 1
  for (int polls = 0; lacks(first, mark); ++polls) {
    if (polls == kMostPolls) __trap();
    first = poll_one(from);
  }
  return number_in(first);
}

// The thread's columns 4 t, 4 t + 2048, ... of a row. Ask early, take late.
template <int kVectors>
struct HandedRow {
  uint4 w[kVectors];

  __device__ __forceinline__ void ask(const uint32_t* from, int32_t width) {
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      const int32_t column = column_of(i);
      w[i] = {0, 0, 0, 0};
      if (column < width) w[i] = poll_four(from + column);
    }
  }
  __device__ __forceinline__ void wait(const uint32_t* from, int32_t width, uint32_t mark) {
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      const int32_t column = column_of(i);
      if (column >= width) break;
#pragma unroll 1
      for (int polls = 0; lacks(w[i], mark); ++polls) {
        if (polls == kMostPolls) __trap();
        w[i] = poll_four(from + column);
      }
    }
  }
  __device__ __forceinline__ static int32_t column_of(int i) {
    return 4 * static_cast<int32_t>(threadIdx.x) + i * 4 * kTokenThreads;
  }
};

}  // namespace quamba2::cuda
