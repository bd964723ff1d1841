// SPDX-License-Identifier: Apache-2.0
// A persistent fork-join pool. Decode lives from its low start-up cost: workers spin for a short while before they sleep.
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

  // Calls task(context, i) once for each i in [0, threads()), at the same time where the processors are free, and returns
  // when all are done. Which thread takes which i is open: one whose processor is taken is not waited for. Tasks must
  // not throw, wait for one another, or call run again. Only one caller at a time.
  void run(void (*task)(void* context, int index), void* context);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
  int threads_;
};

// The number of hardware threads that this process may use (its CPU affinity mask).
int available_threads();

}  // namespace quamba2
