// SPDX-License-Identifier: Apache-2.0
// Messages from standard input, a line or a block at a time.
#pragma once

#include <optional>
#include <string>

namespace quamba2::cli {

// A message is a line; one that ends in a backslash goes on in the next, and a line """ begins a block of lines that ends
// with another.
class ChatInput {
 public:
  explicit ChatInput(int fd) : fd_(fd) {}
  // Without the last newline; nothing at the end of the input, or where the user interrupted. `prompt` is written to
  // standard output before a message, where not empty, and another one before its further lines. Throws Error{kRuntime}
  // where the input cannot be read.
  std::optional<std::string> message(const std::string& prompt, const std::string& further);

 private:
  std::optional<std::string> line(const std::string& prompt);

  int fd_;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace quamba2::cli
