// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/table.h"
#include "base/thread_pool.h"
#include "support/under_test.h"

namespace quamba2::testing {

const UnderTest& under_test() {
  static const UnderTest cpu{cpu_tables(), nullptr, 3};
  return cpu;
}

Stream test_stream(int variant, void* scratch) {
  static ThreadPool one(1), two(2), three(3);
  ThreadPool* pool = variant == 1 ? &one : variant == 2 ? &two : &three;
  const auto parallel = [](void* threads, void (*task)(void*, int), void* context) {
    static_cast<ThreadPool*>(threads)->run(task, context);
  };
  return {parallel, pool, variant, static_cast<char*>(scratch)};
}

}  // namespace quamba2::testing
