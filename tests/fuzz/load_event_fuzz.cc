// SPDX-License-Identifier: Apache-2.0
// Any bytes as a server's stream: read whole or in pieces, they mean the same to whoever measures.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "event_reader.h"

using quamba2::load::EventNews;
using quamba2::load::EventReader;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + data[0] % 16;  // the first byte says how it is cut
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const EventNews whole = EventReader().push(stream);
  EventReader reader;
  int texts = 0;
  bool done = false, failed = false;
  for (size_t at = 0; at < stream.size(); at += step) {
    const EventNews news = reader.push(stream.substr(at, step));
    if (news.texts < 0 || news.prompt_tokens < -1 || news.output_tokens < -1) __builtin_trap();
    texts += news.texts;
    done |= news.done;
    failed |= !news.error.empty();
  }
  if (texts != whole.texts || done != whole.done || failed != !whole.error.empty()) __builtin_trap();
  return 0;
}
