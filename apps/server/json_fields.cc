// SPDX-License-Identifier: Apache-2.0
#include "json_fields.h"

#include <fmt/format.h>

#include <cmath>

namespace quamba2::server {
namespace {

constexpr int kMaxDepth = 32;

Json parse(std::string_view body) {
  const auto limited = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) throw ApiError(400, fmt::format("the JSON is nested deeper than {} levels", kMaxDepth));
    return true;
  };
  try {
    return Json::parse(body.begin(), body.end(), limited);
  } catch (const Json::exception& e) {
    std::string why = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    if (const size_t end = why.find("] "); end != std::string::npos) why.erase(0, end + 2);
    throw ApiError(400, "the body is not valid JSON: " + why.substr(0, 300));
  }
}

}  // namespace

std::string dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

void bad_field(const std::string& name, const std::string& why) {
  throw ApiError(400, fmt::format("bad '{}': {}", name, why), name);
}

JsonFields::JsonFields(std::string_view body) : root_(parse(body)) {
  if (!root_.is_object()) throw ApiError(400, "the body is not a JSON object");
}

const Json* JsonFields::find(const char* name) {
  asked_.insert(name);
  const auto at = root_.find(name);
  return at == root_.end() || at->is_null() ? nullptr : &*at;
}

bool JsonFields::boolean(const char* name, bool fallback) {
  const Json* value = find(name);
  if (!value) return fallback;
  if (!value->is_boolean()) bad_field(name, "it must be true or false");
  return value->get<bool>();
}

int64_t JsonFields::integer(const char* name, int64_t fallback, int64_t least, int64_t most) {
  const Json* value = find(name);
  if (!value) return fallback;
  const bool in_range = value->is_number_unsigned()
                            ? value->get<uint64_t>() <= static_cast<uint64_t>(std::max<int64_t>(most, 0))
                            : value->is_number_integer();
  if (!value->is_number_integer() || !in_range || value->get<int64_t>() < least || value->get<int64_t>() > most)
    bad_field(name, fmt::format("it must be a whole number from {} to {}", least, most));
  return value->get<int64_t>();
}

double JsonFields::number(const char* name, double fallback, double least, double most) {
  const Json* value = find(name);
  if (!value) return fallback;
  if (!value->is_number()) bad_field(name, "it must be a number");
  const double v = value->get<double>();
  if (!std::isfinite(v) || v < least || v > most) bad_field(name, fmt::format("it must be from {} to {}", least, most));
  return v;
}

std::string JsonFields::text(const char* name, const std::string& fallback) {
  const Json* value = find(name);
  if (!value) return fallback;
  if (!value->is_string()) bad_field(name, "it must be a string");
  return value->get<std::string>();
}

std::vector<int32_t> parse_ids(const Json& array, const std::string& name) {
  std::vector<int32_t> out;
  if (!array.is_array()) bad_field(name, "it must be an array of token ids");
  out.reserve(array.size());
  for (const Json& id : array) {
    const bool good = id.is_number_unsigned() && id.get<uint64_t>() <= static_cast<uint64_t>(INT32_MAX);
    if (!good) bad_field(name, "token ids are whole numbers from 0 on");
    out.push_back(static_cast<int32_t>(id.get<uint64_t>()));
  }
  return out;
}

std::vector<int32_t> JsonFields::ids(const char* name) {
  const Json* value = find(name);
  return value ? parse_ids(*value, name) : std::vector<int32_t>();
}

std::vector<std::string> JsonFields::texts(const char* name, size_t most) {
  const Json* value = find(name);
  if (!value) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) bad_field(name, "it must be a string or an array of strings");
  if (value->size() > most) bad_field(name, fmt::format("at most {} are possible", most));
  std::vector<std::string> out;
  for (const Json& item : *value) {
    if (!item.is_string()) bad_field(name, "it must hold strings only");
    out.push_back(item.get<std::string>());
  }
  return out;
}

std::vector<std::string> JsonFields::unknown() const {
  std::vector<std::string> out;
  for (const auto& [name, value] : root_.items()) {
    if (asked_.count(name) == 0) out.push_back(name);
  }
  return out;
}

}  // namespace quamba2::server
