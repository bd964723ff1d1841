// SPDX-License-Identifier: Apache-2.0
// Server-sent events of a completion: what each means to whoever measures.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quamba2::load {

// What a piece of the stream brought.
struct EventNews {
  int texts = 0;  // events with a choice: each brings one token or more
  bool done = false;
  std::string error = {};                          // an error in the middle of the stream
  int64_t prompt_tokens = -1, output_tokens = -1;  // the server's own count, where it came
};

class EventReader {
 public:
  // Takes bytes as they come; events may be cut anywhere. An event of more than a mebibyte is an error.
  EventNews push(std::string_view bytes);

 private:
  void take_line(std::string_view line, EventNews* news);

  std::string pending_;  // a line that has not ended
};

}  // namespace quamba2::load
