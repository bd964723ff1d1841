// SPDX-License-Identifier: Apache-2.0
// How `linear` splits its work over blocks: pure functions of the problem, tested without a GPU.
#pragma once

#include <initializer_list>

#include "backends/cuda/linear_layout.h"

namespace quamba2::cuda {

constexpr int kFewTokens = 16;             // at most so many tokens a block
constexpr int kFewWarps = 24;              // that a multiprocessor runs at once
constexpr int kFewStages = 6;              // pairs of tiles that a warp has on their way
constexpr int kMostShared = 200 * 1024;    // bytes that a block may ask for on any device since sm_80 but 8.6 and 8.9
constexpr int kSharedOfSmall = 99 * 1024;  // what those have

// Bytes of one token's row in shared memory, a whole number of pairs of tiles; 64 more, so that rows start on other banks.
constexpr int64_t few_row_bytes(WeightKind kind, int32_t k_tiles) {
  const int64_t columns = static_cast<int64_t>(k_tiles) * tile_columns(kind);
  return (multiplies_codes(kind) ? round_up_to(columns, 128) : round_up_to(columns * 4, 8 * tile_columns(kind))) + 64;
}
constexpr int64_t few_stage_bytes(WeightKind kind) { return 2 * tile_bytes(kind) + (has_groups(kind) ? 256 : 0); }
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

// As many warps a band as fill the device, but no more than have a turn; 16 only for up to 8 tokens, which are one tile.
constexpr int few_warps(const LinearLayout& l, int column_tiles, int32_t multiprocessors) {
  const int32_t wanted = multiprocessors * kFewWarps / l.bands, pairs = (l.k_tiles + 1) / 2;
  if (column_tiles == 2) return 8;
  return wanted >= 12 && pairs >= 12 ? 16 : wanted >= 6 && pairs >= 6 ? 8 : 4;
}

constexpr FewRowsShape few_rows_shape(const LinearLayout& l, int32_t tokens, int32_t multiprocessors,
                                      int64_t shared_limit) {
  FewRowsShape s;
  const int64_t row = few_row_bytes(l.kind, l.k_tiles);
  const int32_t most = tokens < kFewTokens ? tokens : kFewTokens;
  for (int32_t each = most; each > 0 && s.tokens_per_block == 0; --each) {  // the most that fit
    s.column_tiles = each > 8 ? 2 : 1;
    s.warps = few_warps(l, s.column_tiles, multiprocessors);
    const auto bytes = [&] { return row * each + few_fixed_bytes(l.kind, s.warps, s.column_tiles); };
    while (s.column_tiles == 1 && s.warps > 4 && bytes() > shared_limit) s.warps /= 2;
    if (bytes() <= shared_limit) s.tokens_per_block = each;
  }
  if (s.tokens_per_block == 0) return s;
  s.token_blocks = (tokens + s.tokens_per_block - 1) / s.tokens_per_block;
  s.tokens_per_block = (tokens + s.token_blocks - 1) / s.token_blocks;
  if (s.tokens_per_block <= 8 && s.column_tiles == 2) s.column_tiles = 1;
  s.shared_bytes = row * s.tokens_per_block + few_fixed_bytes(l.kind, s.warps, s.column_tiles);
  const auto fitting = static_cast<int32_t>((220 * 1024) / (s.shared_bytes + 1024));
  const int32_t by_warps = kFewWarps / s.warps;
  const int32_t each = fitting < 1 ? 1 : fitting < by_warps ? fitting : by_warps;
  // A few blocks more than run at once start when the first have ended: that costs less than two bands a block. Otherwise
  // blocks of more bands leave room for the kernel that comes next, which asks for its weights meanwhile.
  const int32_t at_once = multiprocessors * each;
  s.bands_per_block = l.bands <= at_once + at_once / 10 ? 1 : (l.bands + at_once - 1) / at_once;
  s.blocks = (l.bands + s.bands_per_block - 1) / s.bands_per_block;
  return s;
}

// Up to how many tokens linear_few_rows is the faster one (measured on an H100).
constexpr int32_t most_few_tokens(WeightKind kind) { return multiplies_codes(kind) ? 16 : 8; }

// Tiles of results of linear_many_rows: 128 weight rows by `token_tile` tokens.
constexpr int32_t many_tiles(int32_t outputs, int32_t tokens, int32_t token_tile) {
  return (outputs + 127) / 128 * ((tokens + token_tile - 1) / token_tile);
}

// How many tokens a block of linear_many_rows takes, 128 or 256: 256 multiplies faster, unless its blocks leave more of the
// device idle in their last round.
constexpr int many_token_tile(int32_t outputs, int32_t tokens, int32_t multiprocessors) {
  const int64_t m = multiprocessors;
  const int64_t rounds_128 = (many_tiles(outputs, tokens, 128) + m - 1) / m,
                rounds_256 = (many_tiles(outputs, tokens, 256) + m - 1) / m;
  return rounds_128 * 11 < rounds_256 * 20 ? 128 : 256;
}

// Groups of scales that linear_many_rows has room for, a band; longer K takes few rows.
constexpr int32_t kMostManyGroups = 160;

// Into how many parts blocks that share a tile of results split K (a cluster's blocks), where `each` blocks run on a
// multiprocessor at once: so that a block multiplies least, in blocks of K, with what splitting costs besides. All clusters
// run at once; each lies within sixteen or more multiprocessors that see each other's shared memory. Fewer than eight
// blocks of K are not split. Integer sums only: their order does not matter.
constexpr int many_splits(int32_t tiles, int32_t k_blocks, int32_t multiprocessors, int32_t each) {
  int best = 1;
  int32_t least = k_blocks;
  for (int splits : {2, 4, 6, 8}) {
    const int32_t clusters = multiprocessors / 16 * (16 * each / splits);
    if (k_blocks < 8 || splits * 3 > k_blocks || tiles > clusters) break;
    const int32_t cost = (k_blocks + splits - 1) / splits + 2;
    if (cost < least) best = splits, least = cost;
  }
  return best;
}
// Groups that a part of K can have: parts begin and end inside groups.
constexpr int32_t many_groups_of_split(int32_t groups, int32_t splits) {
  const int32_t most = groups / splits + 3;
  return most < groups ? most : groups;
}

}  // namespace quamba2::cuda
