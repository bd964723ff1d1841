// SPDX-License-Identifier: Apache-2.0
// A persistent fork-join pool with static partition. Decode lives from its low start-up cost: workers spin for a short
// while before they sleep.
#pragma once

#include <memory>

namespace quamba2 {

class ThreadPool {
 public:
  // `threads` includes the caller; at least 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls task(context, i) for i in [0, threads()), each i on its own thread (0 on the caller's), and returns when all
  // are done. Tasks must not throw and must not call run again. Only one caller at a time.
  void run(void (*task)(void* context, int index), void* context);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
  int threads_;
};

// The number of hardware threads that this process may use (its CPU affinity mask).
int available_threads();

}  // namespace quamba2
