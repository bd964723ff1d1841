// SPDX-License-Identifier: Apache-2.0
// The index maths of `linear` on GPUs, without one: slots and pieces are bijections, blocks cover every output once and fit.
#include "backends/cuda/linear_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace quamba2::cuda {
namespace {

constexpr WeightKind kKinds[] = {WeightKind::kI8,      WeightKind::kI4Ratio, WeightKind::kI4,
                                 WeightKind::kI6,      WeightKind::kI4Float, WeightKind::kI6Float,
                                 WeightKind::kI8Float, WeightKind::kF16,     WeightKind::kBF16};

int stored_bits(WeightKind k) { return is_four(k) || is_six(k) ? 4 : k >= WeightKind::kF16 ? 16 : 8; }

TEST(LinearLayout, EveryBitOfATileHoldsOneNumber) {
  for (WeightKind kind : kKinds) {
    std::set<int> bits;
    for (int row = 0; row < kBandRows; ++row) {
      for (int column = 0; column < tile_columns(kind); ++column) {
        const Slot s = slot_of(kind, row, column);
        for (int b = 0; b < stored_bits(kind); ++b) {
          EXPECT_TRUE(bits.insert(word_offset(s.lane, s.word) * 8 + s.bit + b).second);
        }
        for (int b = 0; is_six(kind) && b < 2; ++b) {
          EXPECT_TRUE(bits.insert(word_offset(s.lane, s.high_word) * 8 + s.high_bit + b).second);
        }
      }
    }
    EXPECT_EQ(static_cast<int>(bits.size()), tile_bytes(kind) * 8) << static_cast<int>(kind);
    EXPECT_EQ(*bits.rbegin(), tile_bytes(kind) * 8 - 1);
  }
}

// The columns that the tensor cores multiply with register r of lane 4 g + q in step `step` of a tile: what slot_of says of the
// weight's fragments is what word_column says of the activations'.
TEST(LinearLayout, FragmentsAndActivationsMeetAtTheSameColumns) {
  for (WeightKind kind : kKinds) {
    if (kind == WeightKind::kI4 || kind == WeightKind::kI6Float) continue;  // few tokens only
    const int each = multiplies_codes(kind) ? 4 : 2, columns = block_columns(kind);
    std::set<int> seen;
    for (int piece = 0; piece < 8; ++piece) {
      for (int q = 0; q < 4; ++q) {
        for (int i = 0; i < each; ++i) seen.insert(word_column(kind, piece, q) + i);
        const int column = word_column(kind, piece, q);
        const Slot s = slot_of(kind, 0, column % tile_columns(kind));
        EXPECT_EQ(s.lane, q) << static_cast<int>(kind) << " " << column;
      }
    }
    EXPECT_EQ(static_cast<int>(seen.size()), columns);
    EXPECT_EQ(*seen.rbegin(), columns - 1);
  }
}

TEST(LinearConfig, FewRowsCoverEveryOutputOnceAndFit) {
  struct Device {
    int multiprocessors;
    int64_t shared;
  };
  for (const Device device : {Device{132, kMostShared}, Device{108, kMostShared}, Device{16, kSharedOfSmall}}) {
    for (WeightKind kind : kKinds) {
      for (int32_t outputs : {1, 16, 80, 288, 2560, 10576, 50288}) {
        for (int32_t inner : {1, 160, 768, 2560, 5120, 8192}) {
          const LinearLayout l = linear_layout(kind, outputs, inner, 128);
          EXPECT_GE(l.k_tiles * tile_columns(kind), inner);
          EXPECT_GE(l.bands * kBandRows, outputs);
          for (int32_t tokens = 1; tokens <= 64; ++tokens) {
            const FewRowsShape s = few_rows_shape(l, tokens, device.multiprocessors, device.shared);
            ASSERT_GT(s.tokens_per_block, 0) << static_cast<int>(kind) << " " << inner;
            EXPECT_LE(s.tokens_per_block, 8 * s.column_tiles);
            EXPECT_GE(s.tokens_per_block * s.token_blocks, tokens);
            EXPECT_LT(s.tokens_per_block * (s.token_blocks - 1), tokens);
            EXPECT_GE(s.bands_per_block * s.blocks, l.bands);
            EXPECT_LT(s.bands_per_block * (s.blocks - 1), l.bands);
            EXPECT_LE(s.shared_bytes, device.shared);
            EXPECT_TRUE(s.warps == 4 || s.warps == 8 || (s.warps == 16 && s.column_tiles == 1));
            EXPECT_TRUE(s.column_tiles == 1 || s.warps == 8);
          }
        }
      }
    }
  }
}

TEST(LinearConfig, SplitsOfKFitTheDeviceAndHaveWork) {
  for (int32_t each = 1; each <= 2; ++each) {
    for (int32_t tiles = 1; tiles < 300; ++tiles) {
      for (int32_t k_blocks = 1; k_blocks < 70; ++k_blocks) {
        const int splits = many_splits(tiles, k_blocks, 132, each);
        EXPECT_TRUE(splits >= 1 && splits <= 8);
        EXPECT_TRUE(splits == 1 || tiles * splits <= 132 * each);
        EXPECT_TRUE(splits == 1 || splits * 3 <= k_blocks);
      }
    }
  }
  EXPECT_EQ(many_splits(20, 40, 132, 1), 4);  // 2.7b out_proj, 128 sequences
  EXPECT_EQ(many_splits(27, 6, 132, 2), 1);   // 130m in_proj
  EXPECT_EQ(many_splits(83, 20, 132, 2), 2);  // 2.7b in_proj, 64 sequences
}

TEST(LinearConfig, GroupsOfASplitHaveRoom) {
  for (WeightKind kind : {WeightKind::kI4Ratio, WeightKind::kI6}) {
    for (int32_t inner = 64; inner < 10000; inner += 64) {
      for (int32_t group : {64, 128, 256}) {
        const LinearLayout l = linear_layout(kind, 16, inner, group);
        const auto blocks = static_cast<int32_t>(many_block_count(kind, inner));
        for (int32_t splits = 1; splits <= 8; ++splits) {
          for (int32_t rank = 0; rank < splits; ++rank) {
            const int32_t begin = blocks * rank / splits, end = blocks * (rank + 1) / splits;
            if (begin == end) continue;
            const int32_t first = std::min((begin * 2) >> l.group_shift, l.groups - 1);
            const int32_t last = std::min((end * 2 - 1) >> l.group_shift, l.groups - 1);
            ASSERT_LE(last - first + 1, many_groups_of_split(l.groups, splits))
                << inner << " " << group << " " << splits;
          }
        }
      }
    }
  }
}

TEST(LinearConfig, RowsOfTokensStartOnOtherBanks) {
  for (WeightKind kind : kKinds) {
    for (int32_t tiles = 1; tiles < 100; ++tiles) {
      EXPECT_EQ(few_row_bytes(kind, tiles) % 128, 64);
      EXPECT_GE(few_row_bytes(kind, tiles), 64 + tiles * tile_columns(kind) * (multiplies_codes(kind) ? 1 : 4));
    }
  }
}

TEST(LinearConfig, GroupsHaveAPowerOfTwoOfTiles) {
  for (int32_t group : {64, 128, 256, 1024}) {
    const LinearLayout l = linear_layout(WeightKind::kI4Ratio, 16, 2560, group);
    EXPECT_EQ(tile_columns(l.kind) << l.group_shift, group);
    EXPECT_EQ(l.groups, (2560 + group - 1) / group);
  }
  EXPECT_EQ(linear_layout(WeightKind::kI4Ratio, 16, 100, 128).groups, 1);
  EXPECT_EQ(2560 >> linear_layout(WeightKind::kI4Ratio, 16, 100, 128).group_shift, 0);
}

}  // namespace
}  // namespace quamba2::cuda
