// SPDX-License-Identifier: Apache-2.0
// A small JSON value. Parsing bounds depth and size, keeps the order of keys, and accepts the bare Infinity, -Infinity
// and NaN that Python writes into config.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace quamba2 {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool v) : value_(v) {}
  Json(int v) : value_(static_cast<int64_t>(v)) {}
  Json(int64_t v) : value_(v) {}
  Json(double v) : value_(v) {}
  Json(const char* v) : value_(std::string(v)) {}
  Json(std::string v) : value_(std::move(v)) {}
  Json(Array v) : value_(std::move(v)) {}
  Json(Object v) : value_(std::move(v)) {}
  // Null where `v` is not finite: for documents that readers other than Python's have to understand.
  static Json finite(double v);

  // Throws Error{kModelFile} naming `where` and the byte offset. Duplicate keys in one object are an error when
  // `unique_keys` is set (safetensors headers need that).
  static Json parse(std::string_view text, const std::string& where, bool unique_keys = false);
  // Invalid UTF-8 is written as U+FFFD; infinities as Python writes them. `indent` < 0 gives one line.
  std::string dump(int indent = 2) const;

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  // Throw Error{kModelFile} naming `where` when the kind is another one.
  bool as_bool(const std::string& where) const;
  int64_t as_int(const std::string& where) const;
  double as_double(const std::string& where) const;
  const std::string& as_string(const std::string& where) const;
  const Array& as_array(const std::string& where) const;
  const Object& as_object(const std::string& where) const;

  // The member `key` of an object, or nullptr where it is absent, null, or this is no object.
  const Json* find(std::string_view key) const;
  // Members with a default for absent or null ones; a present one of another kind throws, naming the key.
  bool get(std::string_view key, bool fallback) const;
  int64_t get(std::string_view key, int64_t fallback) const;
  int64_t get(std::string_view key, int fallback) const { return get(key, static_cast<int64_t>(fallback)); }
  double get(std::string_view key, double fallback) const;
  std::string get(std::string_view key, const char* fallback) const;
  // Sets or adds a member; a null value becomes an object first.
  void set(std::string key, Json value);
  // Appends to an array; a null value becomes an array first.
  void push_back(Json value);

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

}  // namespace quamba2
