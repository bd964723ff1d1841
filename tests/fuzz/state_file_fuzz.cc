// SPDX-License-Identifier: Apache-2.0
// Any bytes as a state file: parsed, or refused with an Error. What is accepted holds together.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "quamba2/error.h"
#include "quamba2/state_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const quamba2::PausedText s = quamba2::parse_state_file({reinterpret_cast<const char*>(data), size}, "fuzz");
    const auto length = static_cast<int64_t>(s.ids.size());
    if (s.read < 0 || s.read > length || s.prompt_tokens < 0 || s.prompt_tokens > length) __builtin_trap();
    if ((s.read > 0) != (s.state && !s.state->empty())) __builtin_trap();
  } catch (const quamba2::Error& e) {
    if (e.code() != quamba2::ErrorCode::kModelFile) __builtin_trap();
  }
  return 0;
}
