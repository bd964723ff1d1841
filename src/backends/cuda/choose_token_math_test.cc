// SPDX-License-Identifier: Apache-2.0
// Orders and sums of logits on GPUs, without one.
#include "backends/cuda/choose_token_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/random.h"

namespace quamba2::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

// From the lowest to the highest.
std::vector<float> ordered_logits() {
  std::vector<float> all = {-kInfinity,
                            kInfinity,
                            0,
                            1e-45f,
                            -1e-45f,
                            std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::lowest()};
  Random random(1);
  for (int i = 0; i < 2000; ++i) all.push_back(static_cast<float>(random.normal() * std::exp(10 * random.normal())));
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

TEST(ChooseTokenMath, KeysAreInTheOrderOfLogits) {
  const std::vector<float> all = ordered_logits();
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(logit_of_key(logit_key(all[i])), all[i]);
    if (i > 0) {
      EXPECT_LT(logit_key(all[i - 1]), logit_key(all[i]));
      EXPECT_LT(ranked(all[i - 1], 0), ranked(all[i], 1 << 30));
    }
  }
  EXPECT_EQ(logit_key(-0.0f), logit_key(0.0f));
  EXPECT_EQ(logit_key(-kInfinity), kMinusInfinityKey);
  EXPECT_EQ(logit_key(kNan), kNanKey);
  EXPECT_EQ(logit_key(-kNan), kNanKey);
  EXPECT_GT(kNanKey, logit_key(kInfinity));
  EXPECT_GT(ranked(1.5f, 3), ranked(1.5f, 4)) << "the lowest id is first";
  EXPECT_EQ(id_of_ranked(ranked(-1.5f, 77)), 77);
  EXPECT_GT(ranked(-kInfinity, std::numeric_limits<int32_t>::max()), 0u);
}

TEST(ChooseTokenMath, BinsAreInTheOrderOfLogits) {
  for (float largest : {0.0f, 3.25f, -1e6f, 1e30f, kInfinity}) {
    int before = kLogitBins - 1;
    for (float logit : ordered_logits()) {
      if (logit > largest) break;
      const int bin = logit_bin(logit, largest);
      EXPECT_LE(bin, before) << logit;
      EXPECT_GE(bin, 0);
      before = bin;
    }
    EXPECT_EQ(logit_bin(largest, largest), 0);
    EXPECT_EQ(logit_bin(-kInfinity, largest), kLogitBins - 1);
  }
}

TEST(ChooseTokenMath, WeightsOfAVocabularyFit) {
  for (int32_t v : {1, 2, 3, 50277, 50288, 65024, 65536, 65537, 256000, std::numeric_limits<int32_t>::max()}) {
    const int bits = unit_bits(v);
    EXPECT_EQ(weight_units(1, bits), uint64_t{1} << bits);
    EXPECT_LE(static_cast<double>(v) * std::ldexp(1.0, bits), 0x1p63) << v;
    EXPECT_LE(bits, 62);
  }
  EXPECT_EQ(unit_bits(50277), 46);
  EXPECT_EQ(weight_units(0, 46), 0u);
  EXPECT_EQ(token_weight(kInfinity, kInfinity, 0.5), 1);
  EXPECT_EQ(token_weight(5, kInfinity, 0.5), 0);
  EXPECT_EQ(token_weight(-kInfinity, 5, 0.5), 0);
}

}  // namespace
}  // namespace quamba2::cuda
