// SPDX-License-Identifier: Apache-2.0
#include "runtime/stop_strings.h"

#include <algorithm>
#include <utility>

#include "quamba2/error.h"
#include "text/utf8.h"

namespace quamba2 {

StopStrings::StopStrings(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    if (text.empty()) {
      throw Error(ErrorCode::kUsage, "bad sampling option", "stop", "an empty string ends every text",
                  "give text, or leave it out");
    }
    Stop stop{std::move(text), {}, 0};
    stop.border.resize(stop.text.size() + 1);
    for (size_t i = 1, k = 0; i < stop.text.size(); ++i) {
      while (k > 0 && stop.text[i] != stop.text[k]) k = stop.border[k];
      if (stop.text[i] == stop.text[k]) ++k;
      stop.border[i + 1] = k;
    }
    stops_.push_back(std::move(stop));
  }
}

size_t StopStrings::advance(char byte) {
  size_t complete = 0;
  for (Stop& stop : stops_) {
    size_t& k = stop.matched;
    while (k > 0 && stop.text[k] != byte) k = stop.border[k];
    if (stop.text[k] == byte) ++k;
    if (k == stop.text.size()) {
      complete = std::max(complete, k);
      k = stop.border[k];
    }
  }
  return complete;
}

std::string StopStrings::push(std::string_view piece) {
  if (stopped_) return {};
  for (const char byte : piece) {
    held_ += byte;
    const size_t complete = advance(byte);
    if (complete == 0) continue;
    stopped_ = true;
    held_.resize(held_.size() - complete);
    return std::exchange(held_, {});
  }
  size_t keep = 0;
  for (const Stop& stop : stops_) keep = std::max(keep, stop.matched);
  const std::string_view shown = std::string_view(held_).substr(0, held_.size() - keep);
  std::string out(shown.substr(0, shown.size() - utf8_incomplete_tail(shown)));
  held_.erase(0, out.size());
  return out;
}

std::string StopStrings::flush() { return std::exchange(held_, {}); }

}  // namespace quamba2
