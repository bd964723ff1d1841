// SPDX-License-Identifier: Apache-2.0
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/random.h"
#include "quamba2/error.h"
#include "tensor/convert.h"
#include "tensor/operand.h"
#include "tensor/packing.h"

namespace quamba2 {
namespace {

TEST(Convert, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = f16_to_f32(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    } else {
      EXPECT_EQ(f32_to_f16(value), half) << bits;
    }
    const float wide = bf16_to_f32(half);
    if (!std::isnan(wide)) {
      EXPECT_EQ(f32_to_bf16(wide), half) << bits;
    }
  }
}

TEST(Convert, RoundsToNearestEven) {
  EXPECT_EQ(f16_to_f32(f32_to_f16(1.0f + 0x1p-11f)), 1.0f);                // a tie goes to the even neighbour
  EXPECT_EQ(f16_to_f32(f32_to_f16(1.0f + 3 * 0x1p-11f)), 1.0f + 0x1p-9f);  // and the other way
  EXPECT_EQ(f16_to_f32(f32_to_f16(0x1p-25f)), 0.0f);                       // half of the smallest subnormal
  EXPECT_EQ(f16_to_f32(f32_to_f16(0x1.8p-24f)), 0x1p-23f);
  EXPECT_TRUE(std::isinf(f16_to_f32(f32_to_f16(65520.0f))));
  EXPECT_EQ(f16_to_f32(f32_to_f16(65519.0f)), 65504.0f);
  EXPECT_EQ(bf16_to_f32(f32_to_bf16(1.0f + 0x1p-8f)), 1.0f);
}

TEST(Packing, UnpackInvertsPackForEveryLengthAndPosition) {
  for (int bits : {4, 6}) {
    for (int64_t n = 1; n <= 40; ++n) {
      Random random(static_cast<uint64_t>(n));
      std::vector<uint8_t> row(static_cast<size_t>(packed_row_bytes(n, bits)), 0);
      std::vector<uint32_t> codes;
      for (int64_t i = 0; i < n; ++i) codes.push_back(static_cast<uint32_t>(random.below(1 << bits)));
      for (int64_t i = n; i-- > 0;) pack_code(row.data(), i, bits, 63u >> (6 - bits));  // overwritten below
      for (int64_t i = 0; i < n; ++i) pack_code(row.data(), i, bits, codes[static_cast<size_t>(i)]);
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(unpack_code(row.data(), i, bits), codes[static_cast<size_t>(i)]);
    }
  }
}

TEST(Operand, GroupsDecodeWithAShortLastGroup) {
  Tensor values(DType::kI4, {2, 20}), scales(DType::kF16, {2, 3});
  for (int i = 0; i < 6; ++i) store_element(scales.data(), DType::kF16, i, 0.5 * (i + 1));
  Operand w{values.view(), {scales.view(), {}}, {DType::kI4, {{Grain::kGroup, 8, DType::kF16}, {}}, 1, false}};
  std::vector<double> v(40);
  Random random(3);
  for (size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<double>(random.below(16) - 8) * 0.5 * static_cast<double>(i / 20 * 3 + i % 20 / 8 + 1);
  encode(v, w);
  EXPECT_EQ(decode(w), v);
}

TEST(Operand, EncodingSaturatesAndRoundsToEven) {
  Tensor values(DType::kI8, {1, 5}), scale(DType::kF32, {1});
  scale.as<float>()[0] = 2.0f;
  Operand x{values.view(), {scale.view(), {}}, {DType::kI8, {{Grain::kTensor, 0, DType::kF32}, {}}, 1, false}};
  encode({1e9, -1e9, 1.0, 3.0, -5.0}, x);
  EXPECT_EQ(decode(x), (std::vector<double>{254, -256, 0, 4, -4}));
}

// Each number of a channel grows by a 20th of a step a token: too little for any of them to reach the next code alone.
TEST(Operand, DynamicStatesKeepSmallUpdates) {
  constexpr int kStates = 2 * kStateBlock, kTokens = 200;
  Tensor values(DType::kI8, {1, kStates, 1}), scales(DType::kF32, {1, state_blocks(kStates), 1});
  Operand state{values.view(), {scales.view(), {}}, {DType::kI8, {{Grain::kColumn, 0, DType::kF32}, {}}, 1, true}};
  std::vector<double> v(kStates, 0.0);
  double sum = 0, exact = 0;
  for (int t = 0; t < kTokens; ++t) {
    for (int n = 0; n < kStates; ++n) {
      double& number = v[static_cast<size_t>(n)];
      number = n % kStateBlock == 0 ? 127 : number + 0.05;  // the first of a block keeps its scale at 1
      exact += n % kStateBlock == 0 ? 0 : 0.05;
    }
    encode(v, state);
    v = decode(state);
  }
  for (int n = 0; n < kStates; ++n) sum += n % kStateBlock == 0 ? 0 : v[static_cast<size_t>(n)];
  EXPECT_GT(sum, 0.5 * exact);
  EXPECT_LT(sum, 1.5 * exact);
}

TEST(Tensor, ImpossibleShapesAreRefused) {
  EXPECT_THROW(storage_bytes(DType::kF32, {int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(storage_bytes(DType::kF32, {-1}), Error);
  EXPECT_THROW(storage_bytes(DType::kF32, {std::numeric_limits<int64_t>::max()}), Error);
  EXPECT_EQ(storage_bytes(DType::kI4, {3, 9}), 24u);
  EXPECT_EQ(storage_bytes(DType::kF32, {0, int64_t{1} << 40}), 0u);
}

}  // namespace
}  // namespace quamba2
