// SPDX-License-Identifier: Apache-2.0
// Weights re-laid for the GPU decode to what they were: every kind, ragged shapes, and the ratios of two-level scales.
#include "backends/cuda/linear_prepare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/memory.h"
#include "base/random.h"
#include "tensor/convert.h"
#include "tensor/operand.h"
#include "tensor/packing.h"

namespace quamba2::cuda {
namespace {

struct Weight {
  std::vector<uint8_t> codes;
  std::vector<uint16_t> group_scales;
  std::vector<float> row_scales;
  Operand operand;
};

DType storage(WeightKind k) {
  if (k == WeightKind::kF16) return DType::kF16;
  if (k == WeightKind::kBF16) return DType::kBF16;
  return is_four(k) ? DType::kI4 : is_six(k) ? DType::kI6 : DType::kI8;
}

Weight random_weight(WeightKind kind, int32_t outputs, int32_t inner, int group, uint64_t seed) {
  Weight w;
  Random random(seed);
  Operand& o = w.operand;
  const DType type = storage(kind);
  const int32_t stride = type == DType::kI4 ? (inner + 7) / 8 * 8 : inner;
  o.format.storage = type;
  w.codes.resize(static_cast<size_t>(outputs) * static_cast<size_t>(packed_row_bytes(stride, bits_of(type))) + 8);
  o.values = {w.codes.data(), {outputs, inner}, {stride, 1}, type, 2};
  const int32_t groups = (inner + group - 1) / group;
  for (int32_t i = 0; i < outputs * groups; ++i) {
    w.group_scales.push_back(f32_to_f16(static_cast<float>(0.001 + 0.05 * random.uniform())));
  }
  for (int32_t n = 0; n < outputs; ++n) w.row_scales.push_back(static_cast<float>(8 * 0.0511 / 127));
  if (has_groups(kind)) {
    o.format.level[o.format.levels++] = {Grain::kGroup, static_cast<int16_t>(group), DType::kF16};
    o.scales[0] = {w.group_scales.data(), {outputs, groups}, {groups, 1}, DType::kF16, 2};
  }
  if (has_row_scales(kind)) {
    o.scales[o.format.levels] = {w.row_scales.data(), {outputs}, {1}, DType::kF32, 1};
    o.format.level[o.format.levels++] = {Grain::kRow, 0, DType::kF32};
  }
  for (int32_t n = 0; n < outputs; ++n) {
    for (int32_t k = 0; k < inner; ++k) {
      const double value =
          is_float(type) ? random.normal()
                         : static_cast<double>(min_code(type) + random.below(max_code(type) - min_code(type) + 1));
      store_element(row_address(o.values, n), type, k, value);
    }
  }
  return w;
}

TEST(LinearPrepare, RowsReadBackAreTheWeight) {
  uint64_t seed = 0;
  for (int k = 0; k <= static_cast<int>(WeightKind::kBF16); ++k) {
    const auto kind = static_cast<WeightKind>(k);
    for (const auto& [outputs, inner] : {std::pair{1, 1}, {16, 64}, {37, 200}, {50, 384}, {5, 130}}) {
      ++seed;
      const Weight w = random_weight(kind, outputs, inner, seed % 2 ? 64 : 128, seed);
      LinearArgs args;
      args.weight = w.operand;
      AlignedBuffer prepared(static_cast<size_t>(layout_of(args, kind).bytes));
      std::fill_n(static_cast<char*>(prepared.data()), prepared.size(), char{0});
      prepare_linear(args, kind, prepared.data(), Stream{});
      std::vector<float> row(static_cast<size_t>(inner));
      for (int32_t n = 0; n < outputs; ++n) {
        read_linear_row(w.operand, kind, prepared.data(), n, row.data());
        for (int32_t i = 0; i < inner; ++i) {
          ASSERT_EQ(row[static_cast<size_t>(i)], static_cast<float>(decode_element(w.operand, n, i)))
              << k << " " << n << " " << i;
        }
      }
    }
  }
}

// Every f16 below the largest ratio of two scales that keeps INT8: the f16 found rounds all sixteen codes as f32 does.
TEST(LinearPrepare, RatiosRoundAsTheQuotientDoes) {
  Random random(7);
  int exceptions = 0;
  for (int i = 0; i < 200000; ++i) {
    const float outer = static_cast<float>(0.001 + random.uniform());
    const float inner = f16_to_f32(f32_to_f16(outer * 15.875f * static_cast<float>(random.uniform())));
    const float ratio = f16_to_f32(ratio_of(inner, outer));
    for (int c = -8; c < 8; ++c) {
      const float want = std::nearbyintf(static_cast<float>(c) * inner / outer);
      if (std::fabs(want) <= 127 && std::nearbyintf(static_cast<float>(c) * ratio) != want) ++exceptions;
    }
  }
  EXPECT_EQ(exceptions, 0);
  for (int doubled = 1; doubled < 32; doubled += 2) {  // all odd codes halfway between two integers
    const float inner = static_cast<float>(doubled) / 2, ratio = f16_to_f32(ratio_of(inner, 1.0f));
    for (int c = -8; c < 8; ++c) {
      EXPECT_EQ(std::nearbyintf(static_cast<float>(c) * ratio), std::nearbyintf(static_cast<float>(c) * inner));
    }
  }
  EXPECT_EQ(ratio_of(0.5f, 0.0f), 0);
}

}  // namespace
}  // namespace quamba2::cuda
