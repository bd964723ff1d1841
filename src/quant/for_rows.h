// SPDX-License-Identifier: Apache-2.0
// Rows of a matrix over the threads of a stream.
#pragma once

#include <cstdint>

#include "backend/kernel.h"

namespace quamba2 {

// Calls function(row) for every row, split over the threads.
template <class Function>
void for_rows(const Stream& stream, int64_t rows, const Function& function) {
  struct Job {
    const Function& function;
    int64_t rows, threads;
  } job{function, rows, stream.threads};
  const auto task = [](void* context, int index) {
    const Job& j = *static_cast<const Job*>(context);
    for (int64_t r = j.rows * index / j.threads; r < j.rows * (index + 1) / j.threads; ++r) j.function(r);
  };
  stream.parallel(stream.pool, task, &job);
}

}  // namespace quamba2
