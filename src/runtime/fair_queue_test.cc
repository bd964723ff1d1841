// SPDX-License-Identifier: Apache-2.0
#include "runtime/fair_queue.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"

namespace quamba2 {
namespace {

TEST(FairQueue, GroupsTakeTurns) {
  FairQueue<int> queue;
  for (int i = 0; i < 4; ++i) queue.push(7, i);
  queue.push(3, 10);
  queue.push(5, 20);
  queue.push(3, 11);
  std::vector<int> out;
  while (!queue.empty()) out.push_back(queue.pop());
  EXPECT_EQ(out, (std::vector<int>{0, 10, 20, 1, 11, 2, 3}));
}

TEST(FairQueue, RemovesWhatIsUnwanted) {
  FairQueue<int> queue;
  for (int i = 0; i < 10; ++i) queue.push(static_cast<uint64_t>(i % 3), i);
  EXPECT_EQ(queue.remove_if([](int i) { return i % 3 == 0; }), (std::vector<int>{0, 3, 6, 9}));
  EXPECT_EQ(queue.size(), 6u);
  EXPECT_EQ(queue.pop(), 1);
}

// Whatever others push: an item that is k-th of its group comes out after at most k turns of all groups.
TEST(FairQueue, NobodyWaitsLongerThanTheTurnsBeforeIt) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    FairQueue<std::pair<uint64_t, int64_t>> queue;  // group, the latest pop by which it must be out
    std::map<uint64_t, int64_t> inside;
    int64_t pops = 0;
    const int64_t groups = 1 + random.below(6);
    for (int step = 0; step < 400; ++step) {
      if (random.uniform() < 0.55) {
        const auto group = static_cast<uint64_t>(random.below(groups));
        const int64_t place = ++inside[group];
        queue.push(group, {group, pops + place * groups});
      } else if (!queue.empty()) {
        const auto [group, latest] = queue.pop();
        --inside[group];
        ASSERT_LE(++pops, latest) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace quamba2
