// SPDX-License-Identifier: Apache-2.0
// Members of a request's JSON, each taken with its kind and range checked; failures are 400 and name the member.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api_error.h"

namespace quamba2::server {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// One line, with U+FFFD for bytes that are no UTF-8.
std::string dump(const OrderedJson& json);

class JsonFields {
 public:
  // `body` must be an object, nested no deeper than requests are.
  explicit JsonFields(std::string_view body);

  // Absent and null members give the fallback.
  bool boolean(const char* name, bool fallback);
  int64_t integer(const char* name, int64_t fallback, int64_t least, int64_t most);
  double number(const char* name, double fallback, double least, double most);
  std::string text(const char* name, const std::string& fallback = {});
  std::vector<int32_t> ids(const char* name);                     // [1, 2]; empty where absent
  std::vector<std::string> texts(const char* name, size_t most);  // "a" or ["a", "b"]
  const Json* find(const char* name);                             // null where absent or null

  bool has(const char* name) { return find(name) != nullptr; }
  // The members that nothing asked for.
  std::vector<std::string> unknown() const;

 private:
  Json root_;
  std::set<std::string> asked_;
};

[[noreturn]] void bad_field(const std::string& name, const std::string& why);
// Token ids from a JSON array of integers.
std::vector<int32_t> parse_ids(const Json& array, const std::string& name);

}  // namespace quamba2::server
