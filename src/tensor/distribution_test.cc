// SPDX-License-Identifier: Apache-2.0
#include "tensor/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/random.h"

namespace quamba2 {
namespace {

std::vector<float> random_row(int64_t n, double spread, uint64_t seed) {
  Random random(seed);
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = static_cast<float>(spread * random.normal());
  return x;
}

double exact_lse(const std::vector<float>& x) {
  double m = -1e300, sum = 0;
  for (float v : x) m = std::max<double>(m, v);
  for (float v : x) sum += std::exp(v - m);
  return m + std::log(sum);
}

TEST(Distribution, LogSumExpHoldsItsError) {
  for (int64_t n : {1, 2, 15, 16, 17, 63, 64, 65, 1000, 50288}) {
    for (double spread : {0.01, 1.0, 10.0, 60.0}) {
      const std::vector<float> x = random_row(n, spread, static_cast<uint64_t>(n));
      // The result carries the rounding of its inputs' differences: half an ulp of the largest magnitude.
      const double bound = 1e-6 + 4 * spread * 6e-8;
      EXPECT_NEAR(log_sum_exp(x.data(), n), exact_lse(x), bound) << n << " " << spread;
    }
  }
}

TEST(Distribution, KlMatchesItsDefinitionAndIsZeroForEqualRows) {
  const int64_t n = 1001;
  const std::vector<float> a = random_row(n, 2, 1), b = random_row(n, 2, 2);
  const double lse_a = exact_lse(a), lse_b = exact_lse(b);
  double want = 0;
  for (size_t i = 0; i < a.size(); ++i) want += std::exp(a[i] - lse_a) * ((a[i] - lse_a) - (b[i] - lse_b));
  EXPECT_NEAR(kl_divergence(a.data(), lse_a, b.data(), lse_b, n), want, 1e-5 * want);
  EXPECT_NEAR(kl_divergence(a.data(), lse_a, a.data(), lse_a, n), 0, 1e-12);
}

TEST(Distribution, NaNIsNotHidden) {
  std::vector<float> x = random_row(100, 1, 1);
  x[50] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(log_sum_exp(x.data(), 100)));
  x[50] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(log_sum_exp(x.data(), 100)));
}

TEST(Distribution, HasNanLooksAtEveryElement) {
  for (int64_t n : {1, 63, 64, 65, 200}) {
    std::vector<float> x = random_row(n, 1, 3);
    x[0] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(has_nan(x.data(), n));
    for (float& v : x) {
      const float kept = std::exchange(v, std::numeric_limits<float>::quiet_NaN());
      EXPECT_TRUE(has_nan(x.data(), n));
      v = kept;
    }
  }
}

TEST(Distribution, ArgmaxTakesTheLowestOfEquals) {
  const float x[] = {1, 3, 2, 3};
  EXPECT_EQ(argmax(x, 4), 1);
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
  const float odd[] = {kNaN, -kInf, kInf, kNaN, kInf};
  EXPECT_EQ(argmax(odd, 2), 1);
  EXPECT_EQ(argmax(odd, 5), 2);
  EXPECT_EQ(argmax(odd, 1), 0);
}

TEST(Distribution, ArgmaxAnywhereInRowsOfAnyLength) {
  for (const int64_t n : {1, 15, 16, 17, 1023, 1024, 1025, 5000}) {
    std::vector<float> x(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(i)] = -1.0f - static_cast<float>(i * 7919 % 101);
    for (const int64_t at : {int64_t{0}, n / 3, n / 2, n - 1}) {
      const float kept = std::exchange(x[static_cast<size_t>(at)], -0.5f);
      EXPECT_EQ(argmax(x.data(), n), at) << n;
      x[static_cast<size_t>(n - 1)] = -0.5f;  // an equal one behind it
      EXPECT_EQ(argmax(x.data(), n), at) << n;
      x[static_cast<size_t>(n - 1)] = -100;
      x[static_cast<size_t>(at)] = kept;
    }
  }
}

}  // namespace
}  // namespace quamba2
