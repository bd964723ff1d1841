// SPDX-License-Identifier: Apache-2.0
// Of a chunk and group, for all of its heads: fragments of C and the products C_i . B_j. Four blocks share a chunk's tiles of
// 16 tokens.
#pragma once

#include "backends/cuda/ssd_scan_chunks.cuh"

namespace quamba2::cuda {

constexpr int kPieces = 4;      // blocks that share the tiles of a chunk and group
constexpr int kPieceRows = 32;  // rows of C that a piece has

template <int kStates>
using StateRows = SplitTile<kChunk, kStates + 8>;  // of B, [token][state]; codes have no low part
template <int kStates>
using PieceRows = SplitTile<kPieceRows, kStates + 8>;
template <bool kCodes, int kStates>
constexpr int state_rows_bytes() {
  return StateRows<kStates>::kBytes / (kCodes ? 2 : 1);
}

template <bool kCodes, int kStates>
struct ProductsShared {
  alignas(16) unsigned char b[state_rows_bytes<kCodes, kStates>()];
  alignas(16) unsigned char c[PieceRows<kStates>::kBytes];
  alignas(16) unsigned char scaled[kCodes ? PieceRows<kStates>::kBytes : 16];  // codes of C by the scales of C and B
};

// Four neighbours of a row: codes without their scales, or numbers.
template <bool kCodes>
__device__ __forceinline__ void load_part(const Numbers& x, int64_t row, int column, bool together, float (&v)[4]) {
  if constexpr (kCodes) {
    const char4 c = *reinterpret_cast<const char4*>(static_cast<const int8_t*>(x.data) + row * x.stride + column);
    v[0] = c.x, v[1] = c.y, v[2] = c.z, v[3] = c.w;
  } else {
    load_four(x, row, column, together, v);
  }
}

// B of a chunk, from state `first` of all groups on; zeros behind its last token.
template <bool kCodes, int kStates>
__device__ __forceinline__ void stage_b(const SsdScan& s, ChunkPlace chunk, int first, unsigned char* to) {
  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(to)};
  const int column = threadIdx.x % (kStates / 4) * 4, first_row = threadIdx.x / (kStates / 4);
  constexpr int kStep = kChunkThreads / (kStates / 4);
  const bool together = reads_together(s.b) && (first + column) % 4 == 0;
#pragma unroll 8
  for (int i = 0; i < kChunk / kStep; ++i) {
    const int row = first_row + i * kStep;
    float v[4] = {0, 0, 0, 0};
    if (row < chunk.length) load_part<kCodes>(s.b, chunk.begin + row, first + column, together, v);
    put_inputs<kCodes>(b, row, column, v);
  }
}

// A piece has the tiles of tokens `piece` and 7 - piece: as many products as every other one.
__device__ __forceinline__ int tile_of_piece(int piece, int which) {
  return which == 0 ? piece : kTokenTiles - 1 - piece;
}

template <bool kCodes, int kStates>
__device__ __forceinline__ void stage_piece(const SsdScan& s, ChunkPlace chunk, int first, int piece,
                                            ProductsShared<kCodes, kStates>* m) {
  const PieceRows<kStates> c = {reinterpret_cast<__nv_bfloat16*>(m->c)};
  const PieceRows<kStates> scaled = {reinterpret_cast<__nv_bfloat16*>(m->scaled)};
  const int column = threadIdx.x % (kStates / 4) * 4, first_row = threadIdx.x / (kStates / 4), at = first + column;
  constexpr int kStep = kChunkThreads / (kStates / 4);
  const bool together = reads_together(s.c) && at % 4 == 0;
  float scale[4] = {1, 1, 1, 1};
  if constexpr (kCodes) {
#pragma unroll
    for (int i = 0; i < 4; ++i) scale[i] = scale_of(s.b, 0, at + i) * scale_of(s.c, 0, at + i);
  }
#pragma unroll
  for (int i = 0; i < kPieceRows / kStep; ++i) {
    const int row = first_row + i * kStep, token = tile_of_piece(piece, row / 16) * 16 + row % 16;
    float v[4] = {0, 0, 0, 0};
    if (token < chunk.length) load_part<kCodes>(s.c, chunk.begin + token, at, together, v);
    put_inputs<kCodes>(c, row, column, v);
    if constexpr (kCodes) {
#pragma unroll
      for (int k = 0; k < 4; ++k) v[k] *= scale[k];
      scaled.put_four(row, column, v, 1.0f);
    }
  }
}

template <bool kCodes, int kStates>
__device__ __forceinline__ void keep_fragments(int piece, ProductsShared<kCodes, kStates>* m, ChunkTiles<kStates>* to) {
  constexpr int kSteps = kStates / 16, kParts = kCodes ? 1 : 2;
  const PieceRows<kStates> c = {reinterpret_cast<__nv_bfloat16*>(m->c)};
  for (int i = threadIdx.x / 32; i < 2 * kSteps * kParts; i += kChunkThreads / 32) {
    const int part = i % kParts, k = i / kParts % kSteps, which = i / kParts / kSteps;
    uint32_t r[4];
    load_left(r, c, part, which * 16, k * 16);
    to->c[tile_of_piece(piece, which)][k][part][threadIdx.x % 32] = make_uint4(r[0], r[1], r[2], r[3]);
  }
}

template <bool kCodes, int kStates>
__device__ __forceinline__ void keep_products(int piece, ProductsShared<kCodes, kStates>* m, ChunkTiles<kStates>* to) {
  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(m->b)};
  const PieceRows<kStates> c = {reinterpret_cast<__nv_bfloat16*>(kCodes ? m->scaled : m->c)};
  const int lane = threadIdx.x % 32;
  for (int i = threadIdx.x / 32; i < kTokenTiles + 1; i += kChunkThreads / 32) {
    const int which = i > piece ? 1 : 0, column = which == 0 ? i : i - piece - 1, row = tile_of_piece(piece, which);
    float sums[2][4] = {};
#pragma unroll
    for (int k = 0; k < kStates; k += 16) {
      uint32_t left[2][4], right[2][4];
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        load_left(left[part], c, part, which * 16, k);
        if (!kCodes || part == 0) load_right_turned(right[part], b, part, k, column * 16);
      }
      multiply_split<false, kCodes>(sums, left, right);
    }
    float4(&kept)[2][32] = to->products[row * (row + 1) / 2 + column];
    kept[0][lane] = make_float4(sums[0][0], sums[0][1], sums[0][2], sums[0][3]);
    kept[1][lane] = make_float4(sums[1][0], sums[1][1], sums[1][2], sums[1][3]);
  }
}

template <bool kCodes, int kStates>
__device__ __forceinline__ void chunk_products(const SsdScan& s, ChunkPlace chunk, int group, int piece,
                                               ProductsShared<kCodes, kStates>* m, ChunkTiles<kStates>* to) {
  stage_b<kCodes, kStates>(s, chunk, group * kStates, m->b);
  stage_piece<kCodes, kStates>(s, chunk, group * kStates, piece, m);
  __syncthreads();
  keep_fragments<kCodes, kStates>(piece, m, to);
  keep_products<kCodes, kStates>(piece, m, to);
}

}  // namespace quamba2::cuda
