// SPDX-License-Identifier: Apache-2.0
#include "text/gpt2_scanner.h"

#include <array>

#include "text/unicode.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

constexpr std::array<CharClass, 128> make_ascii_classes() {
  std::array<CharClass, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    classes[static_cast<size_t>(c)] = letter                 ? CharClass::kLetter
                                      : c >= '0' && c <= '9' ? CharClass::kNumber
                                      : space                ? CharClass::kSpace
                                                             : CharClass::kOther;
  }
  return classes;
}

constexpr std::array<CharClass, 128> kAsciiClasses = make_ascii_classes();

// The class of the character at `*at`, which moves behind it.
CharClass next_class(std::string_view text, size_t* at) {
  const auto byte = static_cast<unsigned char>(text[*at]);
  if (byte < 0x80) {
    ++*at;
    return kAsciiClasses[byte];
  }
  return char_class(utf8_next(text, at));
}

// Where the run of `wanted` that goes on at `at` ends.
size_t end_of_run(std::string_view text, size_t at, CharClass wanted) {
  while (at < text.size()) {
    size_t next = at;
    if (next_class(text, &next) != wanted) break;
    at = next;
  }
  return at;
}

// 's 't 'm 'd 're 've 'll: the length, or 0.
size_t contraction(std::string_view text) {
  if (text.size() < 2) return 0;
  const char a = text[1], b = text.size() > 2 ? text[2] : '\0';
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
  return 0;
}

// A run of white space leaves its last character to what follows, unless it is alone or ends the text.
size_t white_space(std::string_view text) {
  const size_t end = end_of_run(text, 0, CharClass::kSpace);
  if (end == text.size()) return end;
  const size_t last = utf8_last(text.substr(0, end));
  return last > 0 ? last : end;
}

}  // namespace

size_t gpt2_match(std::string_view text) {
  if (text[0] == '\'') {
    if (const size_t length = contraction(text)) return length;
  }
  size_t at = text[0] == ' ' && text.size() > 1 ? 1 : 0;
  const CharClass kind = next_class(text, &at);
  return kind == CharClass::kSpace ? white_space(text) : end_of_run(text, at, kind);
}

}  // namespace quamba2
