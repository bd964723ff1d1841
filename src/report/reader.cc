// SPDX-License-Identifier: Apache-2.0
#include "report/reader.h"

#include <fmt/format.h>

#include <cmath>

#include "quamba2/error.h"
#include "report/text.h"

namespace quamba2::report {
namespace {

constexpr size_t kMaxText = 10000;  // bytes; names and details are short

const char* kind_of(const Json& v) {
  return v.is_null()     ? "nothing"
         : v.is_bool()   ? "true or false"
         : v.is_number() ? "a number"
         : v.is_string() ? "a string"
         : v.is_array()  ? "a list"
                         : "an object";
}

[[noreturn]] void wrong_kind(const std::string& where, const char* wanted, const Json& got) {
  refuse(where, fmt::format("{} is expected here, not {}", wanted, kind_of(got)));
}

const std::string& text_of(const Json& v, const std::string& where) {
  if (!v.is_string()) wrong_kind(where, "a string", v);
  const std::string& text = v.as_string(where);
  if (text.size() > kMaxText) refuse(where, fmt::format("a text of more than {} bytes", kMaxText));
  return text;
}

}  // namespace

void refuse(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kModelFile, "not a document for a report", where, why,
              "give what quantize, compare, bench, search or ablation wrote with --json");
}

Reader::Reader(const Json& object, std::string file, std::string path)
    : object_(&object), file_(std::move(file)), path_(std::move(path)) {
  if (!object.is_object()) wrong_kind(path_.empty() ? file_ : file_ + ": " + path_, "an object", object);
}

std::string Reader::text(std::string_view key) const {
  const Json* v = object_->find(key);
  return v ? text_of(*v, place(key)) : "";
}

std::string Reader::required_text(std::string_view key) const {
  const std::string out = text(key);
  if (out.empty()) refuse(place(key), "it is missing or empty");
  return out;
}

double Reader::number(std::string_view key, double least, double most) const {
  const Json* v = object_->find(key);
  if (!v) return kUnknown;
  if (!v->is_number()) wrong_kind(place(key), "a number", *v);
  const double out = v->as_double(file_);
  if (!std::isfinite(out)) refuse(place(key), "the number is not finite");
  if (out < least || out > most) {
    refuse(place(key), fmt::format("{:g} is outside of what it can be, {:g} to {:g}", out, least, most));
  }
  return out;
}

const Json::Array* Reader::list(std::string_view key, size_t most) const {
  const Json* v = object_->find(key);
  if (!v) return nullptr;
  if (!v->is_array()) wrong_kind(place(key), "a list", *v);
  const Json::Array& out = v->as_array(file_);
  if (out.size() > most)
    refuse(place(key), fmt::format("a list of {} entries; at most {} make sense", out.size(), most));
  return &out;
}

std::vector<std::string> Reader::texts(std::string_view key, size_t most) const {
  std::vector<std::string> out;
  const Json::Array* all = list(key, most);
  for (size_t i = 0; all && i < all->size(); ++i) {
    out.push_back(text_of((*all)[i], fmt::format("{}[{}]", place(key), i)));
  }
  return out;
}

std::vector<Reader> Reader::objects(std::string_view key, size_t most) const {
  return list(key, most) ? objects_of(*object_->find(key), file_, inner(key), most) : std::vector<Reader>();
}

Reader Reader::required_object(std::string_view key) const {
  const Json* v = object_->find(key);
  if (!v) refuse(place(key), "it is missing");
  return {*v, file_, inner(key)};
}

std::vector<Reader> objects_of(const Json& list, const std::string& file, const std::string& path, size_t most) {
  const std::string where = path.empty() ? file : file + ": " + path;
  if (!list.is_array()) wrong_kind(where, "a list", list);
  const Json::Array& all = list.as_array(where);
  if (all.size() > most) refuse(where, fmt::format("a list of {} entries; at most {} make sense", all.size(), most));
  std::vector<Reader> out;
  for (size_t i = 0; i < all.size(); ++i) out.emplace_back(all[i], file, fmt::format("{}[{}]", path, i));
  return out;
}

}  // namespace quamba2::report
