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

}  // namespace
}  // namespace quamba2
