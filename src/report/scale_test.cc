// SPDX-License-Identifier: Apache-2.0
#include "report/scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/random.h"

namespace quamba2::report {
namespace {

std::vector<std::string> labels(const Scale& scale) {
  std::vector<std::string> out;
  for (const Tick& tick : scale.ticks()) {
    if (!tick.text.empty()) out.push_back(tick.text);
  }
  return out;
}

using Labels = std::vector<std::string>;

TEST(Scale, LinearMarksAreOneTwoFive) {
  EXPECT_EQ(labels(Scale::linear(std::vector{0.0, 97.0}, {0, 100}, false)),
            (Labels{"0", "20", "40", "60", "80", "100"}));
  EXPECT_EQ(labels(Scale::linear(std::vector{42.4, 99.7}, {0, 100}, false)), (Labels{"40", "60", "80", "100"}));
  EXPECT_EQ(labels(Scale::linear(std::vector{0.011, 0.042}, {0, 100}, true)),
            (Labels{"0.00", "0.01", "0.02", "0.03", "0.04", "0.05"}));
  EXPECT_EQ(labels(Scale::linear(std::vector{-3.0, 2.0}, {0, 100}, true)), (Labels{"-3", "-2", "-1", "0", "1", "2"}));
}

TEST(Scale, LogarithmicMarksAreDecadesOrFiner) {
  EXPECT_EQ(labels(Scale::logarithmic(std::vector{0.0013, 0.0287}, {300, 0})),
            (Labels{"0.001", "0.002", "0.005", "0.01", "0.02", "0.05"}));
  EXPECT_EQ(labels(Scale::logarithmic(std::vector{0.0079, 0.0091}, {300, 0})),
            (Labels{"0.005", "0.01", "0.006", "0.007", "0.008", "0.009"}));
  EXPECT_EQ(labels(Scale::logarithmic(std::vector{1e-6, 1.0}, {200, 0})),
            (Labels{"1e-6", "1e-5", "0.0001", "0.001", "0.01", "0.1", "1"}));
  const Scale wide = Scale::logarithmic(std::vector{1e-40, 1e40}, {200, 0});
  EXPECT_GE(labels(wide).size(), 3u);
  EXPECT_LE(labels(wide).size(), 8u);
}

TEST(Scale, NumbersOfANarrowLogarithmicAxisStandClear) {
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{{0.021, 0.045}, {0.1, 0.9}, {3, 60}, {7, 7}}) {
    const Scale scale = Scale::logarithmic(std::vector{low, high}, {300, 0});
    EXPECT_GE(labels(scale).size(), 4u) << low;
    for (const Tick& a : scale.ticks()) {
      for (const Tick& b : scale.ticks()) {
        if (&a == &b) continue;
        EXPECT_NE(a.value, b.value);
        if (a.text.empty() || b.text.empty()) continue;
        EXPECT_GE(std::abs(a.at - b.at), 15) << a.text << " " << b.text;
      }
    }
  }
}

TEST(Scale, ZeroHasAPlaceOnALogarithmicAxis) {
  const Scale scale = Scale::logarithmic(std::vector{0.0, -1e-9, 0.01, 0.1}, {300, 0});
  EXPECT_TRUE(scale.has_zero());
  EXPECT_EQ(scale.at(0), 300);
  EXPECT_EQ(scale.at(-1e-9), 300);
  EXPECT_EQ(scale.at(0.01), scale.break_at());
  EXPECT_LT(scale.break_at(), 300);
  EXPECT_EQ(scale.at(0.1), 0);
  EXPECT_EQ(labels(scale).front(), "0");
  EXPECT_FALSE(Scale::logarithmic(std::vector{0.01}, {300, 0}).has_zero());
  // Zero alone.
  const Scale zero = Scale::logarithmic(std::vector{0.0}, {300, 0});
  EXPECT_EQ(zero.at(0), 300);
  EXPECT_GE(labels(zero).size(), 2u);
}

TEST(Scale, NoValueOrEqualOnesGiveAnAxis) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinite = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<double>> cases = {{},
                                                  {0},
                                                  {0, 0},
                                                  {5},
                                                  {-5, -5},
                                                  {1e18, 1e18},
                                                  {1e18, 1e18 + 256},
                                                  {1e-300},
                                                  {nan, infinite, 3},
                                                  {1e100},
                                                  {-1e100, 1e100},
                                                  {1e-12, 2e-12}};
  for (const auto& values : cases) {
    for (const bool from_zero : {false, true}) {
      for (const Scale& scale : {Scale::linear(values, {10, 110}, from_zero), Scale::logarithmic(values, {10, 110})}) {
        ASSERT_GE(scale.ticks().size(), 2u);
        ASSERT_LE(scale.ticks().size(), 130u);
        for (const Tick& tick : scale.ticks()) {
          EXPECT_TRUE(tick.at >= 10 - 1e-9 && tick.at <= 110 + 1e-9) << tick.at;
          EXPECT_TRUE(std::isfinite(tick.value));
        }
        for (const double v : values) EXPECT_TRUE(std::isnan(v) || (scale.at(v) >= 10 && scale.at(v) <= 110)) << v;
      }
    }
  }
}

// Of any range: marks rise by equal steps, differ in their text, and enclose the values; order is kept.
TEST(Scale, LinearAxesOfManyRanges) {
  Random random(7);
  for (int i = 0; i < 2000; ++i) {
    const double power = std::pow(10, 24 * random.uniform() - 12), low = power * (2 * random.uniform() - 1);
    const double high = low + power * (1e-3 + random.uniform());
    const Scale scale = Scale::linear(std::vector{low, high}, {0, 500}, false);
    const std::vector<Tick>& ticks = scale.ticks();
    ASSERT_GE(ticks.size(), 3u);
    ASSERT_LE(ticks.size(), 9u);
    std::set<std::string> texts;
    for (size_t k = 0; k < ticks.size(); ++k) {
      texts.insert(ticks[k].text);
      EXPECT_NEAR(ticks[k].at, 500.0 * static_cast<double>(k) / static_cast<double>(ticks.size() - 1), 1e-3);
    }
    EXPECT_LE(ticks.front().value, low + 1e-6 * power);
    EXPECT_GE(ticks.back().value, high - 1e-6 * power);
    EXPECT_EQ(texts.size(), ticks.size()) << low << " " << high;
    EXPECT_LT(scale.at(low), scale.at(high));
  }
}

}  // namespace
}  // namespace quamba2::report
