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

__device__ __forceinline__ bool has_tag(uint64_t both, uint32_t tag) {
  return static_cast<int32_t>(static_cast<uint32_t>(both >> 32) - tag) >= 0;
}
__device__ __forceinline__ float number_in(uint64_t both) { return __uint_as_float(static_cast<uint32_t>(both)); }

__device__ __forceinline__ uint64_t poll_one(const Tagged* from) {
  uint64_t both;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(both) : "l"(from) : "memory");
  return both;
}
__device__ __forceinline__ float take_handed(const Tagged* from, uint64_t first, uint32_t tag) {
  for (int polls = 0; !has_tag(first, tag); ++polls) {
    if (polls == kMostPolls) __trap();
    first = poll_one(from);
  }
  return number_in(first);
}

struct FourHanded {
  uint64_t v[4];
};
__device__ __forceinline__ FourHanded poll_four(const Tagged* from) {
  FourHanded f;
  asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];" : "=l"(f.v[0]), "=l"(f.v[1]) : "l"(from) : "memory");
  asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];" : "=l"(f.v[2]), "=l"(f.v[3]) : "l"(from + 2) : "memory");
  return f;
}
// Four neighbours, of which `f` is what was there when they were first asked for.
__device__ __forceinline__ float4 take_four(const Tagged* from, FourHanded f, uint32_t tag) {
  for (int polls = 0; !(has_tag(f.v[0], tag) && has_tag(f.v[1], tag) && has_tag(f.v[2], tag) && has_tag(f.v[3], tag));
       ++polls) {
    if (polls == kMostPolls) __trap();
    f = poll_four(from);
  }
  return {number_in(f.v[0]), number_in(f.v[1]), number_in(f.v[2]), number_in(f.v[3])};
}

}  // namespace quamba2::cuda
