// SPDX-License-Identifier: Apache-2.0
#include "runtime/token_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"

namespace quamba2 {
namespace {

TEST(TokenScores, AgreeWithTheWholeRowSorted) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const auto rows = static_cast<size_t>(1 + random.below(300));
    const auto vocab = static_cast<int64_t>(rows) - random.below(static_cast<int64_t>(rows));
    std::vector<float> logits(rows);
    for (float& l : logits) l = static_cast<float>(std::round(8 * random.normal()) / 4);  // many ties
    double sum = 0;
    for (const float l : logits) sum += std::exp(static_cast<double>(l));
    std::vector<int32_t> order(static_cast<size_t>(vocab));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
    });
    const auto id = static_cast<int32_t>(random.below(vocab)), count = static_cast<int32_t>(random.below(8));
    const TokenReport report = score_token(logits, vocab, id, count);
    EXPECT_EQ(report.id, id);
    EXPECT_NEAR(report.log_probability, logits[static_cast<size_t>(id)] - std::log(sum), 2e-6);
    ASSERT_EQ(report.top.size(), static_cast<size_t>(std::min<int64_t>(count, vocab)));
    for (size_t i = 0; i < report.top.size(); ++i) {
      EXPECT_EQ(report.top[i].id, order[i]) << "seed " << seed;
      if (report.top[i].id == id) {
        EXPECT_EQ(report.top[i].log_probability, report.log_probability);
      }
    }
  }
}

}  // namespace
}  // namespace quamba2
