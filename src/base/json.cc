// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr size_t kMaxDepth = 64;
// Python's json writes non-finite numbers as bare words. They are turned into these strings before the parser sees
// them; a leading U+0001 cannot be produced by an unescaped string of a valid document.
constexpr std::string_view kWords[] = {"-Infinity", "Infinity", "NaN"};

std::string quote_bare_words(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\' && i + 1 < text.size()) out += text[i++];
      if (c == '"') in_string = false;
      out += text[i++];
      continue;
    }
    bool replaced = false;
    for (std::string_view word : kWords) {
      if (text.substr(i, word.size()) == word) {
        out.append("\"\\u0001").append(word).append("\"");
        i += word.size();
        replaced = true;
        break;
      }
    }
    if (replaced) continue;
    in_string = c == '"';
    out += c;
    ++i;
  }
  return out;
}

[[noreturn]] void fail(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kModelFile, "invalid JSON", where, why, "check that the file is complete");
}

// Builds a Json bottom-up from nlohmann's SAX events.
class Builder {
 public:
  Builder(const std::string& where, bool unique_keys) : where_(where), unique_keys_(unique_keys) {}

  bool null() { return add(Json()); }
  bool boolean(bool v) { return add(Json(v)); }
  bool number_integer(int64_t v) { return add(Json(v)); }
  bool number_unsigned(uint64_t v) {
    if (v > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return add(Json(static_cast<double>(v)));
    return add(Json(static_cast<int64_t>(v)));
  }
  bool number_float(double v, const std::string&) { return add(Json(v)); }
  bool string(std::string& v) {
    if (v == "\x01Infinity") return add(Json(std::numeric_limits<double>::infinity()));
    if (v == "\x01-Infinity") return add(Json(-std::numeric_limits<double>::infinity()));
    if (v == "\x01NaN") return add(Json(std::numeric_limits<double>::quiet_NaN()));
    return add(Json(std::move(v)));
  }
  bool binary(std::vector<uint8_t>&) { return false; }
  bool start_object(size_t) { return push(Json(Json::Object{})); }
  bool start_array(size_t) { return push(Json(Json::Array{})); }
  bool end_object() { return pop(); }
  bool end_array() { return pop(); }
  bool key(std::string& v) {
    Level& top = stack_.back();
    if (unique_keys_ && !top.seen.insert(v).second) fail(where_, "the key \"" + v + "\" appears twice");
    top.key = std::move(v);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& e) {
    fail(where_, "at byte " + std::to_string(position) + ": " + e.what());
  }
  Json take() { return std::move(root_); }

 private:
  struct Level {
    Json value;
    std::string key;
    std::unordered_set<std::string> seen;
  };

  bool push(Json v) {
    if (stack_.size() >= kMaxDepth) fail(where_, "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    stack_.push_back({std::move(v), {}, {}});
    return true;
  }
  bool pop() {
    Json done = std::move(stack_.back().value);
    stack_.pop_back();
    return add(std::move(done));
  }
  bool add(Json v) {
    if (stack_.empty()) {
      root_ = std::move(v);
      return true;
    }
    Level& top = stack_.back();
    if (top.value.is_array()) {
      top.value.push_back(std::move(v));
    } else {
      // Straight to the end: `set` would search for the key and make large objects quadratic.
      const_cast<Json::Object&>(top.value.as_object(where_)).emplace_back(std::move(top.key), std::move(v));
    }
    return true;
  }

  const std::string& where_;
  bool unique_keys_;
  std::vector<Level> stack_;
  Json root_;
};

nlohmann::ordered_json to_nlohmann(const Json& v) {
  const std::string where = "dump";
  if (v.is_bool()) return v.as_bool(where);
  if (v.is_int()) return v.as_int(where);
  if (v.is_number()) return v.as_double(where);
  if (v.is_string()) return v.as_string(where);
  if (v.is_array()) {
    auto out = nlohmann::ordered_json::array();
    for (const Json& item : v.as_array(where)) out.push_back(to_nlohmann(item));
    return out;
  }
  if (v.is_object()) {
    auto out = nlohmann::ordered_json::object();
    for (const auto& [key, item] : v.as_object(where)) out[key] = to_nlohmann(item);
    return out;
  }
  return nullptr;
}

// nlohmann writes non-finite numbers as null; they are marked as strings and unquoted afterwards.
Json mark_non_finite(const Json& v) {
  const std::string where = "dump";
  if (v.is_array()) {
    Json::Array out;
    for (const Json& item : v.as_array(where)) out.push_back(mark_non_finite(item));
    return out;
  }
  if (v.is_object()) {
    Json::Object out;
    for (const auto& [key, item] : v.as_object(where)) out.emplace_back(key, mark_non_finite(item));
    return out;
  }
  if (v.is_number() && !v.is_int()) {
    const double d = v.as_double(where);
    if (std::isnan(d)) return "\x01NaN";
    if (std::isinf(d)) return d > 0 ? "\x01Infinity" : "\x01-Infinity";
  }
  return v;
}

}  // namespace

Json Json::parse(std::string_view text, const std::string& where, bool unique_keys) {
  Builder builder(where, unique_keys);
  bool ok = false;
  if (text.find("Infinity") != text.npos || text.find("NaN") != text.npos) {
    const std::string quoted = quote_bare_words(text);
    ok = nlohmann::json::sax_parse(quoted, &builder);
  } else {
    ok = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  }
  if (!ok) fail(where, "not a JSON document");
  return builder.take();
}

Json Json::finite(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }

std::string Json::dump(int indent) const {
  std::string out =
      to_nlohmann(mark_non_finite(*this)).dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
  for (std::string_view word : kWords) {
    const std::string quoted = "\"\\u0001" + std::string(word) + "\"";
    for (size_t at = out.find(quoted); at != out.npos; at = out.find(quoted, at)) {
      // Behind a backslash the quote is a string's content: this is no word of ours.
      const bool escaped = at > 0 && out[at - 1] == '\\';
      if (escaped)
        ++at;
      else
        out.replace(at, quoted.size(), word);
    }
  }
  return out;
}

bool Json::as_bool(const std::string& where) const {
  if (!is_bool()) fail(where, "true or false is expected here");
  return std::get<bool>(value_);
}

int64_t Json::as_int(const std::string& where) const {
  if (is_int()) return std::get<int64_t>(value_);
  if (is_number()) {
    const double d = std::get<double>(value_);
    if (d == std::floor(d) && std::abs(d) < 9e15) return static_cast<int64_t>(d);
  }
  fail(where, "a whole number is expected here");
}

double Json::as_double(const std::string& where) const {
  if (is_int()) return static_cast<double>(std::get<int64_t>(value_));
  if (!is_number()) fail(where, "a number is expected here");
  return std::get<double>(value_);
}

const std::string& Json::as_string(const std::string& where) const {
  if (!is_string()) fail(where, "a string is expected here");
  return std::get<std::string>(value_);
}

const Json::Array& Json::as_array(const std::string& where) const {
  if (!is_array()) fail(where, "a list is expected here");
  return std::get<Array>(value_);
}

const Json::Object& Json::as_object(const std::string& where) const {
  if (!is_object()) fail(where, "an object is expected here");
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const auto& [name, value] : std::get<Object>(value_)) {
    if (name == key) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

bool Json::get(std::string_view key, bool fallback) const {
  const Json* v = find(key);
  return v ? v->as_bool(std::string(key)) : fallback;
}

int64_t Json::get(std::string_view key, int64_t fallback) const {
  const Json* v = find(key);
  return v ? v->as_int(std::string(key)) : fallback;
}

double Json::get(std::string_view key, double fallback) const {
  const Json* v = find(key);
  return v ? v->as_double(std::string(key)) : fallback;
}

std::string Json::get(std::string_view key, const char* fallback) const {
  const Json* v = find(key);
  return v ? v->as_string(std::string(key)) : fallback;
}

void Json::set(std::string key, Json value) {
  if (is_null()) value_ = Object{};
  as_object(key);
  for (auto& [name, old] : std::get<Object>(value_)) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  std::get<Object>(value_).emplace_back(std::move(key), std::move(value));
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array{};
  as_array("push_back");
  std::get<Array>(value_).push_back(std::move(value));
}

}  // namespace quamba2
