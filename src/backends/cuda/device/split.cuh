// SPDX-License-Identifier: Apache-2.0
// f32 numbers as sums of two of bf16, and tiles of them between shared memory and the tensor cores. A product of two such
// sums is three products; what is left out is 2^-16 of it.
#pragma once

#include <cuda_bf16.h>

#include "backends/cuda/device/ptx.cuh"

namespace quamba2::cuda {

// Two neighbours: their high and their low parts.
struct SplitPair {
  uint32_t high, low;
};
__device__ __forceinline__ SplitPair split_pair(float a, float b) {
  const __nv_bfloat162 high = __floats2bfloat162_rn(a, b);
  const float2 kept = __bfloat1622float2(high);
  const __nv_bfloat162 low = __floats2bfloat162_rn(a - kept.x, b - kept.y);
  return {*reinterpret_cast<const uint32_t*>(&high), *reinterpret_cast<const uint32_t*>(&low)};
}

// A matrix in shared memory: rows of kStride numbers, the low parts kRows rows behind the high ones. Strides of 8 more than a
// multiple of 64 keep rows on other banks.
template <int kRows, int kStride>
struct SplitTile {
  __nv_bfloat16* data;
  static constexpr int kBytes = 2 * kRows * kStride * 2;

  __device__ __forceinline__ void put(int row, int column, float a, float b) const {  // column even
    const SplitPair pair = split_pair(a, b);
    *reinterpret_cast<uint32_t*>(data + row * kStride + column) = pair.high;
    *reinterpret_cast<uint32_t*>(data + (kRows + row) * kStride + column) = pair.low;
  }
  __device__ __forceinline__ void put_four(int row, int column, const float (&v)[4],
                                           float factor) const {  // column / 4 whole
    const SplitPair a = split_pair(factor * v[0], factor * v[1]), b = split_pair(factor * v[2], factor * v[3]);
    *reinterpret_cast<uint2*>(data + row * kStride + column) = make_uint2(a.high, b.high);
    *reinterpret_cast<uint2*>(data + (kRows + row) * kStride + column) = make_uint2(a.low, b.low);
  }
  __device__ __forceinline__ void put_eight(int row, int column, const float (&a)[4], const float (&b)[4],
                                            float factor) const {  // column / 8 whole
    const SplitPair p0 = split_pair(factor * a[0], factor * a[1]), p1 = split_pair(factor * a[2], factor * a[3]);
    const SplitPair p2 = split_pair(factor * b[0], factor * b[1]), p3 = split_pair(factor * b[2], factor * b[3]);
    *reinterpret_cast<uint4*>(data + row * kStride + column) = make_uint4(p0.high, p1.high, p2.high, p3.high);
    *reinterpret_cast<uint4*>(data + (kRows + row) * kStride + column) = make_uint4(p0.low, p1.low, p2.low, p3.low);
  }
  __device__ __forceinline__ const __nv_bfloat16* at(int part, int row, int column) const {
    return data + (part * kRows + row) * kStride + column;
  }
};

__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(shared)));
}
__device__ __forceinline__ void load_matrices_turned(uint32_t (&r)[4], const void* shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(shared)));
}

// Left operands [16, 16] at (m, k): of tiles that hold [m][k], and [k][m].
template <class Tile>
__device__ __forceinline__ void load_left(uint32_t (&a)[4], const Tile& t, int part, int m, int k) {
  const int lane = threadIdx.x % 32;
  load_matrices(a, t.at(part, m + lane % 16, k + lane / 16 * 8));
}
template <class Tile>
__device__ __forceinline__ void load_left_turned(uint32_t (&a)[4], const Tile& t, int part, int m, int k) {
  const int lane = threadIdx.x % 32;
  load_matrices_turned(a, t.at(part, k + lane / 16 * 8 + lane % 8, m + lane / 8 % 2 * 8));
}
// Right operands [16, 16], registers 0 and 1 for the first eight columns, 2 and 3 for the others: of [k][n], and [n][k].
template <class Tile>
__device__ __forceinline__ void load_right(uint32_t (&b)[4], const Tile& t, int part, int k, int n) {
  const int lane = threadIdx.x % 32;
  load_matrices_turned(b, t.at(part, k + lane / 8 % 2 * 8 + lane % 8, n + lane / 16 * 8));
}
template <class Tile>
__device__ __forceinline__ void load_right_turned(uint32_t (&b)[4], const Tile& t, int part, int k, int n) {
  const int lane = threadIdx.x % 32;
  load_matrices(b, t.at(part, n + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 8));
}

// c += a * b, [16, 16] times [16, 16], c two tiles of eight columns. Both are split but for what has one part (whose low
// registers are not read).
template <bool kLeftWhole = false, bool kRightWhole = false>
__device__ __forceinline__ void multiply_split(float (&c)[2][4], const uint32_t (&a)[2][4], const uint32_t (&b)[2][4]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if constexpr (!kLeftWhole) multiply_bf16(c[i], a[1], b[0][2 * i], b[0][2 * i + 1]);
    if constexpr (!kRightWhole) multiply_bf16(c[i], a[0], b[1][2 * i], b[1][2 * i + 1]);
    multiply_bf16(c[i], a[0], b[0][2 * i], b[0][2 * i + 1]);
  }
}

}  // namespace quamba2::cuda
