// SPDX-License-Identifier: Apache-2.0
// Any bytes as a chat template, run on a conversation: a text of valid UTF-8, or an Error.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "quamba2/chat_template.h"
#include "quamba2/error.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kMessages =
      R"([{"role": "system", "content": "s"}, {"role": "user", "content": " é\n"}, {"role": "assistant", "content": null,
          "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": {"a": [1, 2.5, true]}}}]}])";
  try {
    const auto chat = quamba2::ChatTemplate::parse(source, "fuzz").with_token("bos_token", "<s>");
    const std::string text = chat.render_json(kMessages, {.tools = R"([{"function": {"name": "f"}}])"});
    if (quamba2::utf8_valid_prefix(text) != text.size()) __builtin_trap();
  } catch (const quamba2::Error& e) {
    if (e.code() != quamba2::ErrorCode::kModelFile && e.code() != quamba2::ErrorCode::kUsage) __builtin_trap();
  }
  return 0;
}
