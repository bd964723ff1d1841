// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace quamba2 {
namespace {

TEST(ThreadPool, EveryIndexRunsOncePerRound) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    std::vector<int> counts(static_cast<size_t>(threads), 0);
    for (int round = 0; round < 2000; ++round) {
      pool.run([](void* c, int i) { ++(*static_cast<std::vector<int>*>(c))[static_cast<size_t>(i)]; }, &counts);
    }
    for (int c : counts) EXPECT_EQ(c, 2000);
  }
}

// More threads than processors, parts of very different length: every part sees what was written before the round.
TEST(ThreadPool, RoundsFollowOneAnother) {
  struct Work {
    std::vector<int> last = std::vector<int>(16, 0);
    int round = 0, wrong = 0;
  } work;
  ThreadPool pool(16);
  for (work.round = 1; work.round <= 500; ++work.round) {
    pool.run(
        [](void* c, int i) {
          Work& w = *static_cast<Work*>(c);
          int& last = w.last[static_cast<size_t>(i)];
          volatile int spin = (i * 37 + w.round) % 16 == 0 ? 20000 : 10;
          while (spin > 0) spin = spin - 1;
          last = last + 1 == w.round ? w.round : -1000;
        },
        &work);
    for (int last : work.last) work.wrong += last != work.round;
  }
  EXPECT_EQ(work.wrong, 0);
}

}  // namespace
}  // namespace quamba2
