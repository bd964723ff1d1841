// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "interrupt.h"
#include "quamba2/log.h"
#include "units.h"

namespace quamba2::cli {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstBar{700}, kRedraw{100};  // most work is over before a bar is worth the flicker
constexpr milliseconds kFirstLine{2000}, kNextLine{5000};

void say(std::string_view text) {
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

std::string progress_line(std::string_view label, int64_t done, int64_t total, double seconds, int columns, bool bar) {
  const double share = total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 0;
  std::string tail = total > 0 ? fmt::format(" {:3.0f} %  {}/{}", 100 * share, grouped(done), grouped(total))
                               : fmt::format("  {}", grouped(done));
  if (done > 0 && seconds > 0) {
    tail += fmt::format("  {}/s", human_rate(static_cast<double>(done) / seconds));
    if (done < total) tail += "  ETA " + human_seconds(seconds * (1 - share) / share);
  }
  std::string line(label);
  const int room = columns - static_cast<int>(display_width(line) + display_width(tail)) - 4;
  if (bar && room >= 8) {
    const int width = std::min(room, 40);
    const int filled = static_cast<int>(share * width);
    line += " [" + std::string(static_cast<size_t>(filled), '=') +
            std::string(static_cast<size_t>(width - filled), ' ') + "]";
  }
  line += tail;
  if (columns > 1 && line.size() >= static_cast<size_t>(columns)) {  // a wrapped line could not be taken back
    line.resize(static_cast<size_t>(columns) - 1);
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xC0) == 0x80) line.pop_back();
    if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0xC0) line.pop_back();
  }
  return line;
}

Progress::Progress(const Terminal& terminal, bool quiet) : terminal_(terminal), quiet_(quiet) {
  set_progress_sink([this](std::string_view stage, int64_t done, int64_t total) { return report(stage, done, total); });
}

Progress::~Progress() {
  set_progress_sink({});
  clear();
}

Progress::Stage& Progress::stage_of(std::string_view name, Clock::time_point now) {
  const auto found = std::find_if(stages_.begin(), stages_.end(), [&](const Stage& s) { return s.name == name; });
  if (found != stages_.end()) return *found;
  stages_.push_back({std::string(name), now, {}, false});
  return stages_.back();
}

bool Progress::report(std::string_view name, int64_t done, int64_t total) {
  const bool go_on = interrupted() == 0;
  if (quiet_) return go_on;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  Stage& stage = stage_of(name, now);
  if (done < total || stage.shown) draw(&stage, done, total, now);
  if (done >= total) {
    if (terminal_.error_is_tty) clear_locked();
    stages_.erase(stages_.begin() + (&stage - stages_.data()));
  }
  return go_on;
}

void Progress::draw(Stage* stage, int64_t done, int64_t total, Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - stage->began).count();
  const bool tty = terminal_.error_is_tty;
  const auto wait = stage->shown ? (tty ? kRedraw : kNextLine) : (tty ? kFirstBar : kFirstLine);
  if (now - (stage->shown ? stage->printed : stage->began) < wait && done < total) return;
  stage->shown = true;
  stage->printed = now;
  const std::string line = progress_line(stage->name, done, total, seconds, tty ? terminal_.columns : 0, tty);
  say(tty ? "\r" + line + "\033[K" : line + "\n");
  bar_on_screen_ = tty;
}

void Progress::clear_locked() {
  if (bar_on_screen_) say("\r\033[K");
  bar_on_screen_ = false;
}

void Progress::clear() {
  const std::lock_guard lock(mutex_);
  clear_locked();
}

void Progress::note(std::string_view line) {
  if (quiet_) return;
  const std::lock_guard lock(mutex_);
  clear_locked();
  say(std::string(line) + "\n");
}

}  // namespace quamba2::cli
