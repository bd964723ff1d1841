// SPDX-License-Identifier: Apache-2.0
// Cuts a growing text at the first stop string, and holds back what may yet become one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

// The text ends before the stop string that is complete first (of several that end together: the longest), however the
// text is cut into pieces. Shown text never ends inside a UTF-8 character.
class StopStrings {
 public:
  // Throws Error{kUsage} for an empty string.
  explicit StopStrings(std::vector<std::string> stops);

  // Returns the text that can be shown now. After a stop string nothing comes any more.
  std::string push(std::string_view piece);
  // At the end of the text: what was held back.
  std::string flush();
  bool stopped() const { return stopped_; }

 private:
  struct Stop {
    std::string text;
    std::vector<size_t>
        border;          // of each prefix (Knuth, Morris, Pratt): its longest proper prefix that is a suffix too
    size_t matched = 0;  // the longest prefix of `text` that ends the text so far
  };
  size_t advance(char byte);  // length of the stop string that this byte completes, or 0

  std::vector<Stop> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace quamba2
