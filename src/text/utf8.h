// SPDX-License-Identifier: Apache-2.0
// UTF-8 as bytes: what is valid, what is cut off, and the repair that Rust's from_utf8_lossy and the WHATWG decoder
// make (one U+FFFD for every maximal invalid prefix).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace quamba2 {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the longest prefix that is valid UTF-8.
size_t utf8_valid_prefix(std::string_view text);

// Bytes at the end of `text` that begin a character but do not finish it (0 to 3): more bytes could make them valid.
size_t utf8_incomplete_tail(std::string_view text);

// `text` with every maximal invalid prefix replaced by U+FFFD.
std::string utf8_sanitize(std::string_view text);

// Bytes of the character whose first byte is `lead`, in valid UTF-8.
inline size_t utf8_length(char lead) {
  const auto b = static_cast<unsigned char>(lead);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

// The character at `*at`, which moves behind it. `text` must be valid UTF-8 and `*at` a character boundary before its
// end.
char32_t utf8_next(std::string_view text, size_t* at);

// The start of the last character of valid, non-empty UTF-8.
size_t utf8_last(std::string_view text);

void utf8_append(char32_t code_point, std::string* out);

}  // namespace quamba2
