// SPDX-License-Identifier: Apache-2.0
// Where the library's messages and progress go: nowhere, unless the caller says so. The library itself never prints.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace quamba2 {

enum class LogLevel { kDebug, kInfo, kWarning };

using LogSink = std::function<void(LogLevel, std::string_view message)>;

// Called with how far a long job has come; `done == total` ends the stage. Returning false asks the job to stop
// (it then throws Error{kInterrupted}).
using ProgressSink = std::function<bool(std::string_view stage, int64_t done, int64_t total)>;

// Both sinks are process-wide; an empty function switches the channel off. Not to be changed while jobs run.
void set_log_sink(LogSink sink);
void set_progress_sink(ProgressSink sink);

}  // namespace quamba2
