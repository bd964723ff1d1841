// SPDX-License-Identifier: Apache-2.0
#include "chat_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "interrupt.h"
#include "quamba2/error.h"

namespace quamba2::cli {

std::optional<std::string> ChatInput::line(const std::string& prompt) {
  if (!prompt.empty()) {
    [[maybe_unused]] const auto written = write(STDOUT_FILENO, prompt.data(), prompt.size());
  }
  size_t searched = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      std::string out = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      if (!out.empty() && out.back() == '\r') out.pop_back();
      return out;
    }
    if (ended_ || interrupted()) return std::nullopt;
    searched = buffer_.size();
    char part[4096];
    const ssize_t got = read(fd_, part, sizeof part);
    if (got > 0) buffer_.append(part, static_cast<size_t>(got));
    if (got == 0) ended_ = true;
    if (got < 0 && errno != EINTR)
      throw Error(ErrorCode::kRuntime, "cannot read", "standard input", std::strerror(errno));
  }
}

std::optional<std::string> ChatInput::message(const std::string& prompt, const std::string& further) {
  std::optional<std::string> next = line(prompt);
  if (!next) return next;
  std::string out;
  if (*next == "\"\"\"") {
    while ((next = line(further)) && *next != "\"\"\"") out += *next + "\n";
    if (!out.empty()) out.pop_back();
    return interrupted() ? std::nullopt : std::optional(out);
  }
  while (!next->empty() && next->back() == '\\') {
    next->back() = '\n';
    out += *next;
    next = line(further);
    if (!next) return interrupted() ? std::nullopt : std::optional(out);
  }
  return out + *next;
}

}  // namespace quamba2::cli
