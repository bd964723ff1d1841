// SPDX-License-Identifier: Apache-2.0
#include "quant/clustering.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/random.h"

namespace quamba2 {
namespace {

TEST(Clustering, WardJoinsWhatIsAlike) {
  const std::vector<std::vector<double>> profiles = {{0, 0}, {9, 9}, {0.1, 0}, {5, 0}, {9, 9.1}, {5, 0.2}};
  EXPECT_EQ(ward_clusters(profiles, 3), (std::vector<int32_t>{0, 1, 0, 2, 1, 2}));
  EXPECT_EQ(ward_clusters(profiles, 1), std::vector<int32_t>(6, 0));
  EXPECT_EQ(ward_clusters(profiles, 10), (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
}

// All ways of cutting are tried.
double least_within(const std::vector<double>& v, size_t begin, int ranges) {
  if (begin == v.size()) return 0;
  if (ranges == 0) return INFINITY;
  double least = INFINITY, sum = 0, square = 0;
  for (size_t end = begin; end < v.size(); ++end) {
    sum += v[end], square += v[end] * v[end];
    const double within = square - sum * sum / static_cast<double>(end + 1 - begin);
    least = std::min(least, within + least_within(v, end + 1, ranges - 1));
  }
  return least;
}

TEST(Clustering, RangesAreTheBestCuts) {
  Random random(7);
  for (int n : {1, 2, 3, 7, 11}) {
    std::vector<double> v;
    for (int i = 0; i < n; ++i) v.push_back(std::fabs(random.normal()));
    std::sort(v.begin(), v.end());
    for (int ranges : {1, 2, 4}) {
      const std::vector<int32_t> range = contiguous_ranges(v, ranges);
      ASSERT_TRUE(std::is_sorted(range.begin(), range.end()));
      EXPECT_EQ(range.front(), 0);
      EXPECT_EQ(range.back(), std::min(ranges, n) - 1);
      double within = 0;
      for (int r = 0; r < ranges; ++r) {
        double sum = 0, square = 0, count = 0;
        for (size_t i = 0; i < v.size(); ++i) {
          if (range[i] == r) sum += v[i], square += v[i] * v[i], count += 1;
        }
        if (count > 0) within += square - sum * sum / count;
      }
      EXPECT_NEAR(within, least_within(v, 0, ranges), 1e-9);
    }
  }
}

TEST(Clustering, OrdersArePermutationsThatKeepHeadsAndGroups) {
  Random random(3);
  for (const auto& [heads, groups, width] : {std::tuple{8, 2, 6}, {12, 1, 64}, {3, 3, 1}, {6, 2, 3}}) {
    std::vector<float> m(static_cast<size_t>(heads * width));
    for (float& v : m) v = static_cast<float>(std::fabs(random.normal()));
    const ChannelClusters c = cluster_channels(m, heads, groups, 4);
    ASSERT_EQ(c.channel_order.size(), m.size());
    ASSERT_EQ(c.cells.size(), m.size());
    EXPECT_EQ(std::set<int32_t>(c.channel_order.begin(), c.channel_order.end()).size(), m.size());
    for (int h = 0; h < heads; ++h) {
      const int from = c.head_order[static_cast<size_t>(h)];
      EXPECT_EQ(from * groups / heads, h * groups / heads) << "a head left its group";
      for (int p = 0; p < width; ++p) {
        const auto at = static_cast<size_t>(h * width + p);
        EXPECT_EQ(c.channel_order[at] / width, from) << "a channel left its head";
        const auto before = static_cast<size_t>(c.channel_order[p > 0 ? at - 1 : at]);
        EXPECT_GE(m[static_cast<size_t>(c.channel_order[at])], m[before]) << "not sorted";
        EXPECT_EQ(c.cells[at] / 16, h * groups / heads);
      }
    }
  }
}

// Two kinds of heads, and loud channels in one of them: scales a cell fit much better than one for all.
TEST(Clustering, LoudChannelsGetACellOfTheirOwn) {
  std::vector<float> m(8 * 16, 1.0f);
  for (int h : {1, 4, 6}) m[static_cast<size_t>(h * 16 + 3)] = m[static_cast<size_t>(h * 16 + 9)] = 50.0f;
  const ChannelClusters c = cluster_channels(m, 8, 1, 4);
  for (size_t i = 0; i < m.size(); ++i) {
    for (size_t j = 0; j < m.size(); ++j) {
      if (c.cells[i] != c.cells[j]) continue;
      EXPECT_EQ(m[static_cast<size_t>(c.channel_order[i])], m[static_cast<size_t>(c.channel_order[j])]);
    }
  }
}

}  // namespace
}  // namespace quamba2
