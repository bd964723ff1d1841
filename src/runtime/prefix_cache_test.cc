// SPDX-License-Identifier: Apache-2.0
#include "runtime/prefix_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"

namespace quamba2 {
namespace {

using Ids = std::vector<int32_t>;

std::vector<std::byte> state_of(const Ids& ids, size_t bytes) {
  std::vector<std::byte> state(bytes, std::byte(ids.size()));
  state[0] = std::byte(ids.back());
  return state;
}

Ids random_ids(Random* random, int64_t longest) {
  Ids ids;
  for (int64_t n = 1 + random->below(longest); n > 0; --n) ids.push_back(static_cast<int32_t>(random->below(3)));
  return ids;
}

// Against a map of all prefixes, without evictions.
TEST(PrefixCache, FindsTheLongestKeptPrefix) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    PrefixCache cache(1 << 30);
    std::map<Ids, bool> kept;  // whether exact
    for (int i = 0; i < 60; ++i) {
      const Ids ids = random_ids(&random, 12);
      if (random.uniform() < 0.5) {
        const bool exact = random.uniform() < 0.5;
        EXPECT_EQ(cache.holds(ids, exact), kept.count(ids) > 0 && (kept[ids] || !exact));
        cache.insert(ids, state_of(ids, 64), exact);
        kept[ids] = kept[ids] || exact;
      } else {
        const auto most = static_cast<size_t>(random.below(13));
        const bool exact_only = random.uniform() < 0.5;
        size_t expected = 0;
        for (size_t n = 1; n <= std::min(most, ids.size()); ++n) {
          const auto at = kept.find(Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n)));
          if (at != kept.end() && (at->second || !exact_only)) expected = n;
        }
        const PrefixCache::Hit hit = cache.find(ids, most, exact_only);
        ASSERT_EQ(hit.tokens, expected) << "seed " << seed;
        if (expected > 0) {
          const auto bytes = hit.state->bytes();
          ASSERT_EQ(std::vector(bytes.begin(), bytes.end()),
                    state_of(Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(expected)), 64));
        }
      }
    }
    EXPECT_EQ(cache.entries(), kept.size());
  }
}

TEST(PrefixCache, KeepsWithinItsBudgetWhatWasUsedLast) {
  Random random(1);
  PrefixCache cache(20000);
  for (int i = 0; i < 2000; ++i) {
    const Ids ids = random_ids(&random, 30);
    cache.insert(ids, state_of(ids, 1000), true);
    ASSERT_LE(cache.bytes(), 20000u);
    ASSERT_TRUE(cache.holds(ids, true));
  }
  EXPECT_GT(cache.entries(), 10u);
  PrefixCache three(3500);
  for (const int32_t id : {1, 2, 3}) three.insert(Ids{id}, state_of({id}, 1000), true);
  EXPECT_EQ(three.find(Ids{1, 5}, 2, true).tokens, 1u);  // used again: 2 is the oldest now
  three.insert(Ids{4}, state_of({4}, 1000), true);
  EXPECT_FALSE(three.holds(Ids{2}, true));
  EXPECT_TRUE(three.holds(Ids{1}, true) && three.holds(Ids{3}, true) && three.holds(Ids{4}, true));
  three.insert(Ids{9}, state_of({9}, 5000), true);  // larger than the budget
  EXPECT_EQ(three.entries(), 3u);
}

TEST(PrefixCache, WithoutBudgetKeepsNothing) {
  PrefixCache cache(0);
  cache.insert(Ids{1, 2}, state_of({1, 2}, 8), true);
  EXPECT_EQ(cache.find(Ids{1, 2, 3}, 3, false).tokens, 0u);
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace quamba2
