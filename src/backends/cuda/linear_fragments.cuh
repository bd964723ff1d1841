// SPDX-License-Identifier: Apache-2.0
// What a lane holds of one tile of weights (linear_layout.h), and how it becomes the registers of the tensor cores' left
// operand. One struct a kind:
//   kSteps            products of a tile: 32 columns each for codes, 16 for floats
//   kSum              sums of a group are multiplied by its scale; else all of a row are one sum
//   registers(t, s)   a0 .. a3 of step s
#pragma once

#include <cuda_fp16.h>

#include "backends/cuda/device/ptx.cuh"
#include "backends/cuda/linear_layout.h"

namespace quamba2::cuda {

struct WeightTile {
  uint4 words;
  uint2 high;       // i6 only
  uint32_t scales;  // of rows g and g + 8, f16
};

__device__ __forceinline__ uint32_t word_of(const WeightTile& t, int i) {
  return i == 0 ? t.words.x : i == 1 ? t.words.y : i == 2 ? t.words.z : t.words.w;
}
__device__ __forceinline__ __half2 as_half2(uint32_t v) { return *reinterpret_cast<const __half2*>(&v); }
__device__ __forceinline__ uint32_t as_bits(__half2 v) { return *reinterpret_cast<const uint32_t*>(&v); }
__device__ __forceinline__ __half2 half2_of(uint32_t bits) { return as_half2(bits); }

// 1024 + c as f16 is 0x6400 | c; 1024 + 16 c is 0x6400 | c << 4. Nibbles 0 and 4, 1 and 5, 2 and 6, 3 and 7 as pairs of c - 8.
__device__ __forceinline__ void four_bits(uint32_t w, __half2 (&out)[4]) {
  const uint32_t up = w >> 8;
  const __half2 sixteenth = half2_of(0x2c002c00u), minus_72 = half2_of(0xd480d480u), minus_1032 = half2_of(0xe408e408u);
  out[0] = __hadd2(half2_of(mask_or<0x000f000fu, 0x64006400u>(w)), minus_1032);
  out[1] = __hfma2(half2_of(mask_or<0x00f000f0u, 0x64006400u>(w)), sixteenth, minus_72);
  out[2] = __hadd2(half2_of(mask_or<0x000f000fu, 0x64006400u>(up)), minus_1032);
  out[3] = __hfma2(half2_of(mask_or<0x00f000f0u, 0x64006400u>(up)), sixteenth, minus_72);
}

template <WeightKind kKind>
struct Fragments;

template <>
struct Fragments<WeightKind::kI8> {
  static constexpr int kSteps = 1;
  static constexpr bool kSum = false;
  __device__ __forceinline__ static void registers(const WeightTile& t, int, uint32_t (&a)[4]) {
    a[0] = t.words.x, a[1] = t.words.y, a[2] = t.words.z, a[3] = t.words.w;
  }
};

// c * ratio + 1536 is rounded once, to an integer: the low byte of its f16 is the INT8 in two's complement.
template <>
struct Fragments<WeightKind::kI4Ratio> {
  static constexpr int kSteps = 2;
  static constexpr bool kSum = false;
  __device__ __forceinline__ static void row(uint32_t w, __half2 ratio, uint32_t* low, uint32_t* high) {
    __half2 c[4];
    four_bits(w, c);
    const __half2 magic = half2_of(0x66006600u);
#pragma unroll
    for (int i = 0; i < 4; ++i) c[i] = __hfma2(c[i], ratio, magic);
    *low = __byte_perm(as_bits(c[0]), as_bits(c[1]), 0x6420);
    *high = __byte_perm(as_bits(c[2]), as_bits(c[3]), 0x6420);
  }
  __device__ __forceinline__ static void registers(const WeightTile& t, int step, uint32_t (&a)[4]) {
    const __half2 scales = half2_of(t.scales);
    row(word_of(t, 2 * step), __low2half2(scales), &a[0], &a[2]);
    row(word_of(t, 2 * step + 1), __high2half2(scales), &a[1], &a[3]);
  }
};

// Codes in the upper nibbles of bytes: 16 times their value.
template <>
struct Fragments<WeightKind::kI4> {
  static constexpr int kSteps = 2;
  static constexpr bool kSum = true;
  static constexpr float kUnit = 1.0f / 16;
  __device__ __forceinline__ static void registers(const WeightTile& t, int step, uint32_t (&a)[4]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint32_t w = word_of(t, 2 * step + half);
      a[half] = (w << 4) & 0xf0f0f0f0u;
      a[2 + half] = w & 0xf0f0f0f0u;
    }
  }
};

// 4 times their value: two bits of `high` over four of `words`.
template <>
struct Fragments<WeightKind::kI6> {
  static constexpr int kSteps = 2;
  static constexpr bool kSum = true;
  static constexpr float kUnit = 1.0f / 4;
  __device__ __forceinline__ static void registers(const WeightTile& t, int step, uint32_t (&a)[4]) {
    const uint32_t h = step == 0 ? t.high.x : t.high.y;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint32_t w = word_of(t, 2 * step + half);
      a[half] = ((w << 2) & 0x3c3c3c3cu) | ((h << (6 - 4 * half)) & 0xc0c0c0c0u);
      a[2 + half] = ((w >> 2) & 0x3c3c3c3cu) | ((h << (4 - 4 * half)) & 0xc0c0c0c0u);
    }
  }
};

template <>
struct Fragments<WeightKind::kI4Float> {
  static constexpr int kSteps = 4;
  static constexpr bool kSum = true;
  static constexpr float kUnit = 1.0f;
  __device__ __forceinline__ static void registers(const WeightTile& t, int step, uint32_t (&a)[4]) {
    __half2 c[4];
    four_bits(word_of(t, step), c);
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] = as_bits(c[i]);
  }
};

template <>
struct Fragments<WeightKind::kI6Float> {
  static constexpr int kSteps = 4;
  static constexpr bool kSum = true;
  static constexpr float kUnit = 1.0f;
  __device__ __forceinline__ static void registers(const WeightTile& t, int step, uint32_t (&a)[4]) {
    const uint32_t w = word_of(t, step), h = step < 2 ? t.high.x : t.high.y;
    const __half2 minus_1056 = half2_of(0xe420e420u);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int slot = 4 * (step % 2) + i;
      const uint32_t top = slot < 2 ? h << (4 - 2 * slot) : h >> (2 * slot - 4);
      const uint32_t low = (w >> (4 * i)) & 0x000f000fu;
      a[i] = as_bits(__hadd2(half2_of(low | mask_or<0x00300030u, 0x64006400u>(top)), minus_1056));
    }
  }
};

template <>
struct Fragments<WeightKind::kI8Float> {
  static constexpr int kSteps = 2;
  static constexpr bool kSum = false;
  __device__ __forceinline__ static void registers(const WeightTile& t, int step, uint32_t (&a)[4]) {
    const __half2 minus_1152 = half2_of(0xe480e480u);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint32_t w = word_of(t, 2 * step + half);
      a[half] = as_bits(__hadd2(half2_of(__byte_perm(w, 0x64646464u, 0x4140)), minus_1152));
      a[2 + half] = as_bits(__hadd2(half2_of(__byte_perm(w, 0x64646464u, 0x4342)), minus_1152));
    }
  }
};

struct SixteenBits {
  static constexpr int kSteps = 1;
  static constexpr bool kSum = false;
  __device__ __forceinline__ static void registers(const WeightTile& t, int, uint32_t (&a)[4]) {
    a[0] = t.words.x, a[1] = t.words.y, a[2] = t.words.z, a[3] = t.words.w;
  }
};
template <>
struct Fragments<WeightKind::kF16> : SixteenBits {};
template <>
struct Fragments<WeightKind::kBF16> : SixteenBits {};

}  // namespace quamba2::cuda
