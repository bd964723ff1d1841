// SPDX-License-Identifier: Apache-2.0
// The CPU as a back end: the best kernel table of this processor and a pool of threads.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace quamba2 {

// `threads` of 0 means all that this process may use. Throws Error{kUsage} where QUAMBA2_CPU names an impossible level.
std::shared_ptr<Backend> make_cpu_backend(int threads);
// With a given level, for tests.
std::shared_ptr<Backend> make_cpu_backend(int threads, const KernelTable& table);

}  // namespace quamba2
