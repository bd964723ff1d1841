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

// B of a chunk, from state `first` of all groups on; zeros behind its last token.
template <bool kCodes, int kStates>
__device__ __forceinline__ void stage_b(const SsdScan& s, ChunkPlace chunk, int first, unsigned char* to) {
  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(to)};
  constexpr int kTogether = kCodes ? 16 : 4, kAcross = kStates / kTogether, kStep = kChunkThreads / kAcross;
  const int column = threadIdx.x % kAcross * kTogether, first_row = threadIdx.x / kAcross;
  const bool together = reads_together(s.b);
#pragma unroll(kCodes ? 4 : 1)
  for (int row = first_row; row < kChunk; row += kStep) {
    if constexpr (kCodes) {
      uint4 codes = make_uint4(0, 0, 0, 0);
      if (row < chunk.length) codes = load_sixteen(s.b, chunk.begin + row, first + column);
      put_codes(b, row, column, codes);
    } else {
      float v[4] = {0, 0, 0, 0};
      if (row < chunk.length) load_four(s.b, chunk.begin + row, first + column, together, v);
      b.put_four(row, column, v, 1.0f);
    }
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
  constexpr int kStep = kChunkThreads / (kStates / 4);
  const int column = threadIdx.x % (kStates / 4) * 4, first_row = threadIdx.x / (kStates / 4), at = first + column;
  const bool together = reads_together(s.c);
  float scale[4] = {1, 1, 1, 1};
  if constexpr (kCodes) {
    const auto *of_b = static_cast<const float*>(s.b.scales) + at, *of_c = static_cast<const float*>(s.c.scales) + at;
#pragma unroll
    for (int i = 0; i < 4; ++i) scale[i] = of_b[i] * of_c[i];
  }
#pragma unroll(kCodes ? 4 : 1)
  for (int row = first_row; row < kPieceRows; row += kStep) {
    const int token = tile_of_piece(piece, row / 16) * 16 + row % 16;
    float v[4] = {0, 0, 0, 0};
    if constexpr (kCodes) {
      uint32_t word = 0;
      if (token < chunk.length) {
        word = *reinterpret_cast<const uint32_t*>(static_cast<const int8_t*>(s.c.data) +
                                                  (chunk.begin + token) * s.c.stride + at);
      }
      numbers_in(word, v);
      *reinterpret_cast<uint2*>(const_cast<__nv_bfloat16*>(c.at(0, row, column))) =
          make_uint2(bits_of_pair(v[0], v[1]), bits_of_pair(v[2], v[3]));
#pragma unroll
      for (int k = 0; k < 4; ++k) v[k] *= scale[k];
      scaled.put_four(row, column, v, 1.0f);
    } else {
      if (token < chunk.length) load_four(s.c, chunk.begin + token, at, together, v);
      c.put_four(row, column, v, 1.0f);
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
