// SPDX-License-Identifier: Apache-2.0
// Progress on standard error: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "terminal.h"

namespace quamba2::cli {

class Progress {
 public:
  // Becomes the library's progress sink until it dies.
  Progress(const Terminal& terminal, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Returns false where the user asked to stop. Safe from any thread.
  bool report(std::string_view stage, int64_t done, int64_t total);
  void clear();                      // takes the bar off the screen
  void note(std::string_view line);  // a line on standard error, above the bar; not shown when quiet

 private:
  using Clock = std::chrono::steady_clock;
  struct Stage {
    std::string name;
    Clock::time_point began, printed;
    bool shown = false;
  };
  Stage& stage_of(std::string_view name, Clock::time_point now);
  void draw(Stage* stage, int64_t done, int64_t total, Clock::time_point now);
  void clear_locked();

  Terminal terminal_;
  bool quiet_, bar_on_screen_ = false;
  std::mutex mutex_;
  std::vector<Stage> stages_;
};

// The text of a bar: `label  [=====     ]  45 %  12/27  3.4/s  ETA 0:05`, no wider than `columns`.
std::string progress_line(std::string_view label, int64_t done, int64_t total, double seconds, int columns, bool bar);

}  // namespace quamba2::cli
