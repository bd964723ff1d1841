// SPDX-License-Identifier: Apache-2.0
// Reads files with one JSON object a line; every complaint names file and line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"

namespace quamba2 {

inline constexpr size_t kLongestLine = size_t{1} << 20;  // bytes

// One line. The getters throw Error{kModelFile} for a member that is missing or of another kind.
class Record {
 public:
  Record(Json json, std::string path, int64_t line) : json_(std::move(json)), path_(std::move(path)), line_(line) {}

  std::string text(const char* key) const;
  std::vector<std::string> texts(const char* key, size_t least) const;  // an array of at least so many strings
  int64_t index(const char* key, size_t count) const;                   // a whole number in [0, count)
  int64_t line() const { return line_; }
  std::string where() const;  // "piqa_val.jsonl:12"
  // An error of this line.
  [[noreturn]] void refuse(const std::string& why, const std::string& hint = {}) const;

 private:
  const Json& member(const char* key) const;

  Json json_;
  std::string path_;
  int64_t line_;
};

// Calls `visit` for every line that is not blank, until it returns false. Throws Error{kModelFile} for a file that cannot
// be read, lines that are too long, invalid UTF-8, no JSON, or no object.
void for_each_record(const std::string& path, const std::function<bool(const Record&)>& visit);

}  // namespace quamba2
