// SPDX-License-Identifier: Apache-2.0
// How library code speaks: to the sinks of include/quamba2/log.h.
#pragma once

#include <string>
#include <string_view>

#include "quamba2/log.h"

namespace quamba2 {

void log(LogLevel level, std::string_view message);

// Reports a stage of a long job. `advance` throws Error{kInterrupted} when the sink asks to stop.
class ProgressScope {
 public:
  ProgressScope(std::string stage, int64_t total);
  ~ProgressScope();
  ProgressScope(const ProgressScope&) = delete;
  ProgressScope& operator=(const ProgressScope&) = delete;
  void advance(int64_t steps = 1);

 private:
  std::string stage_;
  int64_t total_, done_ = 0;
};

}  // namespace quamba2
