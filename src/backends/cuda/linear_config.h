// SPDX-License-Identifier: Apache-2.0
// How `linear` splits its work over blocks: pure functions of the problem, tested without a GPU.
#pragma once

#include "backends/cuda/linear_layout.h"

namespace quamba2::cuda {

constexpr int kFewTokens = 16;             // at most so many tokens a block
constexpr int kFewStages = 8;              // tiles that a warp has on their way
constexpr int kMostShared = 200 * 1024;    // bytes that a block may ask for on any device since sm_80 but 8.6 and 8.9
constexpr int kSharedOfSmall = 99 * 1024;  // what those have

// Bytes of one token's row in shared memory; 64 more than a multiple of 128, so that rows start on other banks.
constexpr int64_t few_row_bytes(WeightKind kind, int32_t k_tiles) {
  const int64_t columns = static_cast<int64_t>(k_tiles) * tile_columns(kind);
  return round_up_to(multiplies_codes(kind) ? columns : columns * 4, 128) + 64;
}
constexpr int64_t few_stage_bytes(WeightKind kind) { return tile_bytes(kind) + (has_groups(kind) ? 128 : 0); }
// Everything but the rows of tokens: rings, sums of two bands, powers of two and maxima.
constexpr int64_t few_fixed_bytes(WeightKind kind, int warps, int column_tiles) {
  return warps * (kFewStages * few_stage_bytes(kind) + 2 * column_tiles * 128 * 4) + 256;
}

struct FewRowsShape {
  int32_t warps = 8;             // they split K
  int32_t tokens_per_block = 0;  // 0: a token's row does not fit
  int32_t column_tiles = 1;      // of 8 tokens
  int32_t bands_per_block = 1;
  int32_t blocks = 0, token_blocks = 0;
  int64_t shared_bytes = 0;
};

constexpr FewRowsShape few_rows_shape(const LinearLayout& l, int32_t tokens, int32_t multiprocessors, int64_t shared_limit) {
  FewRowsShape s;
  const int64_t row = few_row_bytes(l.kind, l.k_tiles);
  const int64_t fitting = (shared_limit - few_fixed_bytes(l.kind, 8, 2)) / row;
  const int64_t most = fitting < kFewTokens ? fitting : kFewTokens;
  if (most < 1) return s;
  s.token_blocks = static_cast<int32_t>((tokens + most - 1) / most);
  s.tokens_per_block = (tokens + s.token_blocks - 1) / s.token_blocks;
  s.column_tiles = s.tokens_per_block > 8 ? 2 : 1;
  // Few bands: more warps a band, so that enough bytes are on their way.
  const bool wide = l.bands < 2 * multiprocessors && l.k_tiles >= 32 && s.column_tiles == 1;
  const int64_t wide_bytes = few_fixed_bytes(l.kind, 16, 1) + row * s.tokens_per_block;
  if (wide && wide_bytes <= shared_limit) s.warps = 16;
  s.shared_bytes = row * s.tokens_per_block + few_fixed_bytes(l.kind, s.warps, s.column_tiles);
  const int32_t at_once = multiprocessors * 24 / s.warps;
  s.bands_per_block = (l.bands + at_once - 1) / at_once;
  s.blocks = (l.bands + s.bands_per_block - 1) / s.bands_per_block;
  return s;
}

}  // namespace quamba2::cuda
