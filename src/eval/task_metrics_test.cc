// SPDX-License-Identifier: Apache-2.0
#include "eval/task_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace quamba2 {
namespace {

TEST(TaskMetrics, MeanHasTheSampleDeviation) {
  const double values[] = {1, 0, 0, 1};
  const TaskMetric m = aggregate({"acc"}, values);
  EXPECT_DOUBLE_EQ(m.value, 0.5);
  EXPECT_DOUBLE_EQ(m.standard_error, std::sqrt(1.0 / 3.0) / 2);
  EXPECT_TRUE(std::isnan(aggregate({"acc"}, std::span(values, 1)).standard_error));
}

TEST(TaskMetrics, PerplexityIsOfTheMean) {
  const double values[] = {-1, -3};
  const TaskMetric m = aggregate({"perplexity", Aggregate::kPerplexity}, values);
  EXPECT_DOUBLE_EQ(m.value, std::exp(2.0));
  EXPECT_DOUBLE_EQ(m.standard_error, std::exp(2.0));  // the deviation of the mean is 1
}

// Two groups of the same values as one: pooling leaves the n - 1 of each group.
TEST(TaskMetrics, PooledErrorIsThatOfPooledVariance) {
  const std::pair<double, int64_t> groups[] = {{0.1, 10}, {0.2, 30}};
  const double variance = (9 * 0.01 * 10 + 29 * 0.04 * 30) / 38;
  EXPECT_DOUBLE_EQ(pooled_standard_error(groups), std::sqrt(variance / 40));
  EXPECT_TRUE(std::isnan(pooled_standard_error(std::span(groups, 0))));
}

TEST(TaskMetrics, ChoicesAreJudgedAsTheyAreAndByLength) {
  TaskItem item;
  item.gold = 1;
  item.lengths = {2, 8};
  const Score scores[] = {{-4, false}, {-8, false}};  // a character: -2 and -1
  EXPECT_EQ(judge_choices(item, scores), (std::vector<double>{0, 1}));
  const Score equal[] = {{-4, false}, {-4, false}};  // the first of equals wins
  item.lengths = {};
  EXPECT_EQ(judge_choices(item, equal), (std::vector<double>{0}));
  item.gold = 0;
  EXPECT_EQ(judge_choices(item, equal), (std::vector<double>{1}));
}

TEST(TaskMetrics, LengthsAreCharactersAsInPython) {
  EXPECT_EQ(character_count("Caf\xC3\xA9 \xF0\x9F\x98\x80"), 6);
  EXPECT_EQ(character_count(""), 0);
}

}  // namespace
}  // namespace quamba2
