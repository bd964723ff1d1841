// SPDX-License-Identifier: Apache-2.0
// Numbers that phases hand on, each with a tag in the same 8 bytes (token_program.cuh): no other memory depends on them, so
// relaxed accesses do.
#pragma once

#include "backends/cuda/token_program.cuh"

namespace quamba2::cuda {

// Polls after which a number that never comes ends the kernel with an error: seconds, where it takes microseconds.
constexpr int kMostPolls = 1 << 22;

__device__ __forceinline__ void hand_on(Tagged* to, float v, uint32_t tag) {
  const uint64_t both = static_cast<uint64_t>(tag) << 32 | __float_as_uint(v);
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(to), "l"(both) : "memory");
}

// Not negative where the tag has come. What is missing of several numbers is the or of their signs.
__device__ __forceinline__ int32_t lack(uint64_t both, uint32_t tag) {
  return static_cast<int32_t>(static_cast<uint32_t>(both >> 32) - tag);
}
__device__ __forceinline__ float number_in(uint64_t both) { return __uint_as_float(static_cast<uint32_t>(both)); }

__device__ __forceinline__ uint64_t poll_one(const Tagged* from) {
  uint64_t both;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(both) : "l"(from) : "memory");
  return both;
}
__device__ __forceinline__ void poll_two(const Tagged* from, uint64_t* first, uint64_t* second) {
  asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];" : "=l"(*first), "=l"(*second) : "l"(from) : "memory");
}

// One number, of which `first` is what was there when it was first asked for.
__device__ __forceinline__ float take_handed(const Tagged* from, uint64_t first, uint32_t tag) {
  for (int polls = 0; lack(first, tag) < 0; ++polls) {
    if (polls == kMostPolls) __trap();
    first = poll_one(from);
  }
  return number_in(first);
}

// kCount numbers, `step` apart: asked for, then waited for.
template <int kCount>
struct ManyHanded {
  uint64_t v[kCount];
  __device__ __forceinline__ void poll(const Tagged* from, int32_t step) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = poll_one(from + i * step);
  }
  __device__ __forceinline__ int32_t lacking(uint32_t tag) const {
    int32_t any = 0;
#pragma unroll
    for (int i = 0; i < kCount; ++i) any |= lack(v[i], tag);
    return any;
  }
  __device__ __forceinline__ void wait(const Tagged* from, int32_t step, uint32_t tag) {
    for (int polls = 0; lacking(tag) < 0; ++polls) {
      if (polls == kMostPolls) __trap();
      poll(from, step);
    }
  }
};

// Four neighbours.
struct FourHanded {
  uint64_t v[4];
  __device__ __forceinline__ void poll(const Tagged* from) {
    poll_two(from, &v[0], &v[1]);
    poll_two(from + 2, &v[2], &v[3]);
  }
  __device__ __forceinline__ int32_t lacking(uint32_t tag) const {
    return lack(v[0], tag) | lack(v[1], tag) | lack(v[2], tag) | lack(v[3], tag);
  }
  __device__ __forceinline__ float4 numbers() const {
    return {number_in(v[0]), number_in(v[1]), number_in(v[2]), number_in(v[3])};
  }
};

}  // namespace quamba2::cuda
