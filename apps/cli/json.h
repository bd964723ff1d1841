// SPDX-License-Identifier: Apache-2.0
// Writes JSON, nothing more: values go in, in order, and text comes out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2::cli {

// Text of bytes that are no UTF-8 gets U+FFFD, so that the output is always valid.
class Json {
 public:
  explicit Json(bool one_line = false) : one_line_(one_line) {}

  Json& open_object();
  Json& open_array();
  Json& close();  // the innermost object or array
  Json& key(std::string_view name);

  Json& value(std::string_view text);
  Json& value(const char* text) { return value(std::string_view(text)); }
  Json& value(const std::string& text) { return value(std::string_view(text)); }
  Json& value(bool truth);
  Json& value(double number);  // null where it is not finite
  Json& value(int64_t number);
  Json& value(uint64_t number);
  Json& value(int number) { return value(static_cast<int64_t>(number)); }
  template <class T>
  Json& value(const std::vector<T>& list) {
    open_list();
    for (const T& item : list) value(item);
    return close_list();
  }
  template <class T>
  Json& field(std::string_view name, const T& v) {
    return key(name).value(v);
  }

  std::string text() const { return text_ + "\n"; }

 private:
  Json& open_list();  // an array on one line
  Json& close_list();
  void before_value();
  void write_string(std::string_view text);

  struct Level {
    char end;
    bool empty = true, flat = false;
  };
  bool one_line_, after_key_ = false;
  std::vector<Level> levels_;
  std::string text_;
};

}  // namespace quamba2::cli
