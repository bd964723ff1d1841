// SPDX-License-Identifier: Apache-2.0
// Standard output, where results go; every failure to write is found.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace quamba2::cli {

// The reader of a pipe has gone. Not an error of anybody's: the program cleans up and ends quietly.
struct ReaderGone {};

class Output {
 public:
  // Both throw ReaderGone, or Error{kRuntime} for a full disk and the like. `write` may keep text until `flush`.
  void write(std::string_view text);
  void flush();

  std::function<void()> before_write;  // takes a progress bar off the screen

 private:
  std::string pending_;
};

}  // namespace quamba2::cli
