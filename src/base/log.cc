// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <utility>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

LogSink& log_sink() {
  static LogSink sink;
  return sink;
}

ProgressSink& progress_sink() {
  static ProgressSink sink;
  return sink;
}

}  // namespace

void set_log_sink(LogSink sink) { log_sink() = std::move(sink); }
void set_progress_sink(ProgressSink sink) { progress_sink() = std::move(sink); }

void log(LogLevel level, std::string_view message) {
  if (log_sink()) log_sink()(level, message);
}

ProgressScope::ProgressScope(std::string stage, int64_t total) : stage_(std::move(stage)), total_(total) { advance(0); }

ProgressScope::~ProgressScope() {
  // A stage that ends early (an exception passes through) still has to take its bar off the screen.
  if (done_ >= total_ || !progress_sink()) return;
  try {
    progress_sink()(stage_, total_, total_);
  } catch (...) {  // a sink that throws while another error passes through must not end the process
  }
}

void ProgressScope::advance(int64_t steps) {
  done_ += steps;
  if (progress_sink() && !progress_sink()(stage_, done_, total_)) {
    throw Error(ErrorCode::kInterrupted, "interrupted", stage_, "stopped on request");
  }
}

}  // namespace quamba2
