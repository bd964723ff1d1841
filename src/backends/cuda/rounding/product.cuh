// SPDX-License-Identifier: Apache-2.0
// Matrix products of the quantizer, in the type of their operands: a block of 256 threads has a tile of the result, and
// steps of kDepth along K go through shared memory while the next one is on its way to registers.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/kernel.h"

namespace quamba2::cuda {

// How element (row, depth) of an operand lies: depth next to depth, or row next to row.
enum class Lies { kByRow, kByDepth };
// What becomes of the result: it is stored, with its sign turned, added, or taken away.
enum class Ends { kStore, kNegate, kAdd, kSubtract };

template <class T>
struct ProductOf {
  int64_t m, n, k;
  const T *a, *b;
  T* c;
  int64_t lda, ldb, ldc;
  // Of b, whose rows before their own index along K are zeros: steps along K begin there.
  bool b_is_triangular = false;
};

constexpr int kDepth = 16;
constexpr int kProductThreads = 256;

template <class T>
constexpr int kProductTile = sizeof(T) == 4 ? 128 : 64;

// Four numbers that lie side by side, in one load where all are inside and aligned; zeros outside.
template <class T>
__device__ __forceinline__ void load_four(T (&to)[4], const T* base, int64_t line, int64_t first, int64_t lines,
                                          int64_t most, int64_t stride, bool aligned) {
  if (line < lines && first + 4 <= most && aligned) {
    const T* from = base + line * stride + first;
    if constexpr (sizeof(T) == 4) {
      const float4 v = *reinterpret_cast<const float4*>(from);
      to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else {
      const double2 v = *reinterpret_cast<const double2*>(from), w = *reinterpret_cast<const double2*>(from + 2);
      to[0] = v.x, to[1] = v.y, to[2] = w.x, to[3] = w.y;
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    to[i] = line < lines && first + i < most ? base[line * stride + first + i] : static_cast<T>(0);
}

// A tile [kTile rows, kDepth] of an operand on its way from memory to shared memory, where rows lie side by side.
template <class T, Lies kLies>
struct OperandTile {
  static constexpr int kTile = kProductTile<T>;
  static constexpr int kFours = kTile * kDepth / 4 / kProductThreads;
  static constexpr int kStride = kTile + 4;
  T held[kFours][4];

  __device__ __forceinline__ void fetch(const T* base, int64_t row0, int64_t depth0, int64_t rows, int64_t depth,
                                        int64_t stride, bool aligned) {
#pragma unroll
    for (int f = 0; f < kFours; ++f) {
      const int at = static_cast<int>(threadIdx.x) + f * kProductThreads;
      if constexpr (kLies == Lies::kByRow) {
        load_four(held[f], base, row0 + at / (kDepth / 4), depth0 + at % (kDepth / 4) * 4, rows, depth, stride,
                  aligned);
      } else {
        load_four(held[f], base, depth0 + at / (kTile / 4), row0 + at % (kTile / 4) * 4, depth, rows, stride, aligned);
      }
    }
  }
  __device__ __forceinline__ void put(T* shared) const {
#pragma unroll
    for (int f = 0; f < kFours; ++f) {
      const int at = static_cast<int>(threadIdx.x) + f * kProductThreads;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (kLies == Lies::kByRow) {
          shared[(at % (kDepth / 4) * 4 + i) * kStride + at / (kDepth / 4)] = held[f][i];
        } else {
          shared[at / (kTile / 4) * kStride + at % (kTile / 4) * 4 + i] = held[f][i];
        }
      }
    }
  }
};

template <class T, Ends kEnds>
__device__ __forceinline__ void end_product(T* at, T value) {
  if constexpr (kEnds == Ends::kStore) *at = value;
  if constexpr (kEnds == Ends::kNegate) *at = -value;
  if constexpr (kEnds == Ends::kAdd) *at += value;
  if constexpr (kEnds == Ends::kSubtract) *at -= value;
}

// `end` is called for each number (row, column) of the result. A thread has squares of 4 x 4: rows 4 ty + 64 i of the tile by columns 4 tx + 64 j, so that lanes read shared memory side
// by side.
template <class T, Lies kA, Lies kB, class End>
__device__ void product_tile(const ProductOf<T>& p, int64_t m0, int64_t n0, End end) {
  using ATile = OperandTile<T, kA>;
  using BTile = OperandTile<T, kB>;
  constexpr int kSquares = ATile::kTile / 64, kStride = ATile::kStride;
  __shared__ __align__(16) T shared_a[2][kDepth * kStride];
  __shared__ __align__(16) T shared_b[2][kDepth * kStride];
  constexpr int64_t kAlign = 16 / sizeof(T);
  const bool a_aligned = p.lda % kAlign == 0 && reinterpret_cast<uintptr_t>(p.a) % 16 == 0;
  const bool b_aligned = p.ldb % kAlign == 0 && reinterpret_cast<uintptr_t>(p.b) % 16 == 0;
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  T sum[kSquares][kSquares][4][4] = {};
  ATile a;
  BTile b;
  int64_t depth = p.b_is_triangular ? n0 / kDepth * kDepth : 0;
  a.fetch(p.a, m0, depth, p.m, p.k, p.lda, a_aligned);
  b.fetch(p.b, n0, depth, p.n, p.k, p.ldb, b_aligned);
  for (int stage = 0; depth < p.k; depth += kDepth, stage ^= 1) {
    a.put(shared_a[stage]);
    b.put(shared_b[stage]);
    __syncthreads();
    a.fetch(p.a, m0, depth + kDepth, p.m, p.k, p.lda, a_aligned);
    b.fetch(p.b, n0, depth + kDepth, p.n, p.k, p.ldb, b_aligned);
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      T x[kSquares][4], y[kSquares][4];
#pragma unroll
      for (int s = 0; s < kSquares; ++s) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          x[s][i] = shared_a[stage][d * kStride + ty * 4 + s * 64 + i];
          y[s][i] = shared_b[stage][d * kStride + tx * 4 + s * 64 + i];
        }
      }
#pragma unroll
      for (int si = 0; si < kSquares; ++si)
#pragma unroll
        for (int sj = 0; sj < kSquares; ++sj)
#pragma unroll
          for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) sum[si][sj][i][j] += x[si][i] * y[sj][j];
    }
  }
#pragma unroll
  for (int si = 0; si < kSquares; ++si)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t row = m0 + ty * 4 + si * 64 + i;
      if (row >= p.m) continue;
#pragma unroll
      for (int sj = 0; sj < kSquares; ++sj)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int64_t column = n0 + tx * 4 + sj * 64 + j;
          if (column < p.n) end(row, column, sum[si][sj][i][j]);
        }
    }
}

// Neighbouring blocks have the same columns of b.
template <class T, Lies kA, Lies kB, Ends kEnds>
__global__ void __launch_bounds__(kProductThreads) product(const __grid_constant__ ProductOf<T> p) {
  product_tile<T, kA, kB>(
      p, int64_t{blockIdx.x} * kProductTile<T>, int64_t{blockIdx.y} * kProductTile<T>,
      [&](int64_t row, int64_t column, T v) { end_product<T, kEnds>(p.c + row * p.ldc + column, v); });
}

// Tiles on and below the diagonal of a square result.
template <class T, Lies kA, Lies kB, Ends kEnds>
__global__ void __launch_bounds__(kProductThreads) lower_product(const __grid_constant__ ProductOf<T> p) {
  // Block i (i + 1) / 2 + j has tile (i, j).
  auto i = static_cast<int64_t>((sqrtf(8.0f * static_cast<float>(blockIdx.x) + 1.0f) - 1.0f) * 0.5f);
  while (i * (i + 1) / 2 > blockIdx.x) --i;
  while ((i + 1) * (i + 2) / 2 <= blockIdx.x) ++i;
  product_tile<T, kA, kB>(
      p, i * kProductTile<T>, (blockIdx.x - i * (i + 1) / 2) * kProductTile<T>,
      [&](int64_t row, int64_t column, T v) { end_product<T, kEnds>(p.c + row * p.ldc + column, v); });
}

template <class T>
unsigned product_tiles(int64_t n) {
  return static_cast<unsigned>((n + kProductTile<T> - 1) / kProductTile<T>);
}

template <class T, Lies kA, Lies kB, Ends kEnds>
void run_product(const ProductOf<T>& p, const Stream& stream) {
  if (p.m == 0 || p.n == 0) return;
  const dim3 grid(product_tiles<T>(p.m), product_tiles<T>(p.n));
  product<T, kA, kB, kEnds><<<grid, kProductThreads, 0, static_cast<cudaStream_t>(stream.device)>>>(p);
}

template <class T, Lies kA, Lies kB, Ends kEnds>
void run_lower_product(const ProductOf<T>& p, const Stream& stream) {
  if (p.m == 0) return;
  const unsigned tiles = product_tiles<T>(p.m);
  lower_product<T, kA, kB, kEnds>
      <<<tiles*(tiles + 1) / 2, kProductThreads, 0, static_cast<cudaStream_t>(stream.device)>>>(p);
}

}  // namespace quamba2::cuda
