// SPDX-License-Identifier: Apache-2.0
#include "json.h"

#include <fmt/format.h>

#include <cmath>

namespace quamba2::cli {
namespace {

// Bytes of the valid UTF-8 character at the start of `text`, or 0 (RFC 3629: no surrogates, no overlong forms).
size_t character(std::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned a = at(0), b = at(1);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return follows(1) ? 2 : 0;
  if ((a & 0xF0) == 0xE0) {
    const bool good = (a != 0xE0 || b >= 0xA0) && (a != 0xED || b < 0xA0);
    return good && follows(1) && follows(2) ? 3 : 0;
  }
  if (a < 0xF0 || a > 0xF4 || (a == 0xF0 && b < 0x90) || (a == 0xF4 && b >= 0x90)) return 0;
  return follows(1) && follows(2) && follows(3) ? 4 : 0;
}

}  // namespace

void Json::write_string(std::string_view text) {
  text_ += '"';
  while (!text.empty()) {
    const size_t bytes = character(text);
    const auto c = static_cast<unsigned char>(text[0]);
    if (bytes == 0)
      text_ += "\xEF\xBF\xBD";
    else if (c == '"' || c == '\\')
      (text_ += '\\') += text[0];
    else if (c == '\n')
      text_ += "\\n";
    else if (c < 0x20 || c == 0x7F)
      text_ += fmt::format("\\u{:04x}", c);
    else
      text_ += text.substr(0, bytes);
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  text_ += '"';
}

void Json::before_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (!level.empty) text_ += one_line_ || level.flat ? ", " : ",";
  level.empty = false;
  if (!one_line_ && !level.flat) text_ += "\n" + std::string(2 * levels_.size(), ' ');
}

Json& Json::open_object() {
  before_value();
  levels_.push_back({'}'});
  text_ += '{';
  return *this;
}

Json& Json::open_array() {
  before_value();
  levels_.push_back({']'});
  text_ += '[';
  return *this;
}

Json& Json::open_list() {
  open_array();
  levels_.back().flat = true;
  return *this;
}

Json& Json::close() {
  const Level level = levels_.back();
  levels_.pop_back();
  if (!level.empty && !one_line_ && !level.flat) text_ += "\n" + std::string(2 * levels_.size(), ' ');
  text_ += level.end;
  return *this;
}

Json& Json::close_list() { return close(); }

Json& Json::key(std::string_view name) {
  before_value();
  write_string(name);
  text_ += ": ";
  after_key_ = true;
  return *this;
}

Json& Json::value(std::string_view text) {
  before_value();
  write_string(text);
  return *this;
}

Json& Json::value(bool truth) {
  before_value();
  text_ += truth ? "true" : "false";
  return *this;
}

Json& Json::value(double number) {
  before_value();
  text_ += std::isfinite(number) ? fmt::format("{}", number) : "null";
  return *this;
}

Json& Json::value(int64_t number) {
  before_value();
  text_ += fmt::format("{}", number);
  return *this;
}

Json& Json::value(uint64_t number) {
  before_value();
  text_ += fmt::format("{}", number);
  return *this;
}

}  // namespace quamba2::cli
