// SPDX-License-Identifier: Apache-2.0
#include "tensor/hadamard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/random.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr int64_t kSizes[] = {1,  2,   4,   8,   12,  16,   20,   24,   28,   40,   48,   56,   64,
                              80, 112, 160, 768, 896, 1024, 1536, 1792, 2048, 2560, 4096, 5120, 8192};

std::vector<double> random_values(int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<double> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(2 * random.uniform() - 1);
  return out;
}

TEST(Hadamard, SizesAreCoresTimesPowersOfTwo) {
  for (int64_t n : kSizes) EXPECT_TRUE(has_hadamard(n)) << n;
  for (int64_t n : {-4, 0, 3, 6, 7, 10, 14, 36, 44, 52, 100, 2304}) {
    EXPECT_FALSE(has_hadamard(n)) << n;
    EXPECT_EQ(hadamard_core_order(n), 0) << n;
    std::vector<double> x(128);
    EXPECT_THROW(hadamard_transform(x.data(), n, false), Error) << n;
  }
  EXPECT_EQ(hadamard_core_order(4096), 1);
  EXPECT_EQ(hadamard_core_order(1536), 12);
  EXPECT_EQ(hadamard_core_order(40), 20);
  EXPECT_EQ(hadamard_core_order(5120), 20);
  EXPECT_EQ(hadamard_core_order(1792), 28);
  EXPECT_EQ(hadamard_core(40), nullptr);
}

TEST(Hadamard, CoresAreMatricesOfSignsWithOrthogonalRows) {
  for (int m : {1, 12, 20, 28}) {
    const int8_t* h = hadamard_core(m);
    bool symmetric = true;
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < m; ++j) {
        EXPECT_EQ(std::abs(h[i * m + j]), 1);
        symmetric &= h[i * m + j] == h[j * m + i];
        int dot = 0;
        for (int k = 0; k < m; ++k) dot += h[i * m + k] * h[j * m + k];
        EXPECT_EQ(dot, i == j ? m : 0) << m << ": rows " << i << ", " << j;
      }
    }
    EXPECT_EQ(symmetric, m == 1 || m == 28) << m;
  }
}

// Column c of H is what H does to a unit vector; H[i * 2^k + j][c] = core[i][c / 2^k] * (-1)^popcount(j & c) / sqrt(n).
TEST(Hadamard, TransformIsTheKroneckerProduct) {
  for (int64_t n : {1, 2, 8, 12, 24, 20, 40, 28, 56, 96}) {
    const int m = hadamard_core_order(n);
    const int64_t run = n / m;
    for (bool transposed : {false, true}) {
      for (int64_t c = 0; c < n; ++c) {
        std::vector<double> x(static_cast<size_t>(n), 0.0);
        x[static_cast<size_t>(c)] = 1;
        hadamard_transform(x.data(), n, transposed);
        for (int64_t r = 0; r < n; ++r) {
          const int64_t row = transposed ? c : r, column = transposed ? r : c;
          const int sign = __builtin_popcountll(static_cast<uint64_t>((r % run) & (c % run))) % 2 ? -1 : 1;
          const double exact =
              hadamard_core(m)[row / run * m + column / run] * sign / std::sqrt(static_cast<double>(n));
          ASSERT_NEAR(x[static_cast<size_t>(r)], exact, 1e-15) << n << ": " << r << ", " << c;
        }
      }
    }
  }
}

TEST(Hadamard, TransposedIsTheInverseAndNormsStay) {
  for (int64_t n : kSizes) {
    const std::vector<double> x = random_values(n, static_cast<uint64_t>(n));
    for (bool transposed : {false, true}) {
      std::vector<double> y = x;
      hadamard_transform(y.data(), n, transposed);
      double before = 0, after = 0;
      for (size_t i = 0; i < x.size(); ++i) before += x[i] * x[i], after += y[i] * y[i];
      EXPECT_NEAR(before, after, 1e-12 * before) << n;
      hadamard_transform(y.data(), n, !transposed);
      for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], x[i], 1e-13) << n;
    }
  }
}

TEST(Hadamard, FloatAgreesWithDouble) {
  for (int64_t n : kSizes) {
    std::vector<double> wide = random_values(n, static_cast<uint64_t>(n) + 1);
    std::vector<float> narrow(wide.begin(), wide.end());
    for (size_t i = 0; i < wide.size(); ++i) wide[i] = static_cast<double>(narrow[i]);
    hadamard_transform(wide.data(), n, false);
    hadamard_transform(narrow.data(), n, false);
    // Each value is a sum of n numbers below 1, over sqrt(n): at most 28 + 13 + 2 roundings of it.
    const double bound = 43 * 0x1p-24 * std::sqrt(static_cast<double>(n));
    for (size_t i = 0; i < wide.size(); ++i) ASSERT_NEAR(static_cast<double>(narrow[i]), wide[i], bound) << n;
  }
}

}  // namespace
}  // namespace quamba2
