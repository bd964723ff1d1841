// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/string_literal.h"

#include <algorithm>

#include "text/jinja/lexer.h"
#include "text/utf8.h"

namespace quamba2::jinja {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void append_code(std::string_view digits, size_t wanted, int line, std::string* out) {
  char32_t code = 0;
  for (const char c : digits) {
    if (hex_value(c) < 0) wanted = 99;
    code = code * 16 + static_cast<char32_t>(hex_value(c));
  }
  if (digits.size() != wanted || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    unsupported_at(line, "the escape \\x, \\u or \\U with \"" + std::string(digits) + "\" is no character");
  }
  utf8_append(code, out);
}

}  // namespace

std::string decode_string_literal(std::string_view inside, int line) {
  constexpr std::string_view kLetters = "ntr\\'\"abfv", kMeanings = "\n\t\r\\'\"\a\b\f\v";
  std::string out;
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\' || i + 1 >= inside.size()) {
      out += inside[i];
      continue;
    }
    const char c = inside[++i];
    if (const size_t at = kLetters.find(c); at != kLetters.npos) {
      out += kMeanings[at];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      append_code(inside.substr(i + 1, digits), digits, line, &out);
      i += digits;
    } else if (c >= '0' && c <= '7') {
      char32_t code = 0;
      size_t n = 0;
      for (; n < 3 && i + n < inside.size() && inside[i + n] >= '0' && inside[i + n] <= '7'; ++n) {
        code = code * 8 + static_cast<char32_t>(inside[i + n] - '0');
      }
      utf8_append(code, &out);
      i += n - 1;
    } else if (c == 'N') {
      unsupported_at(line, "the escape \\N is not known here");
    } else if (c != '\n') {  // a backslash before a newline joins the lines
      out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace quamba2::jinja
