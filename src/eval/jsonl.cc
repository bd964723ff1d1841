// SPDX-License-Identifier: Apache-2.0
#include "eval/jsonl.h"

#include <string_view>

#include "base/file.h"
#include "quamba2/error.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& why, const std::string& hint = {}) {
  throw Error(ErrorCode::kModelFile, "malformed task file", where, why, hint);
}

std::string place(const std::string& path, int64_t line) { return path + ":" + std::to_string(line); }

Json parse_line(std::string_view line, const std::string& where) {
  if (line.size() > kLongestLine)
    fail(where, "the line has " + std::to_string(line.size()) + " bytes, " + std::to_string(kLongestLine) + " at most");
  const size_t valid = utf8_valid_prefix(line);
  if (valid != line.size()) fail(where, "invalid UTF-8 at byte " + std::to_string(valid));
  Json json = Json::parse(line, where);
  if (!json.is_object()) fail(where, "the line is no JSON object");
  return json;
}

}  // namespace

std::string Record::where() const { return place(path_, line_); }

void Record::refuse(const std::string& why, const std::string& hint) const { fail(where(), why, hint); }

const Json& Record::member(const char* key) const {
  const Json* found = json_.find(key);
  if (!found) refuse(std::string("'") + key + "' is missing");
  return *found;
}

std::string Record::text(const char* key) const {
  const Json& value = member(key);
  if (!value.is_string()) refuse(std::string("'") + key + "' is no string");
  return value.as_string(where());
}

std::vector<std::string> Record::texts(const char* key, size_t least) const {
  const Json& value = member(key);
  const std::string name = std::string("'") + key + "'";
  if (!value.is_array()) refuse(name + " is no array");
  std::vector<std::string> out;
  for (const Json& item : value.as_array(where())) {
    if (!item.is_string()) refuse(name + " holds something that is no string");
    out.push_back(item.as_string(where()));
  }
  if (out.size() < least)
    refuse(name + " has " + std::to_string(out.size()) + " elements, at least " + std::to_string(least) +
           " are needed");
  return out;
}

int64_t Record::index(const char* key, size_t count) const {
  const Json& value = member(key);
  if (!value.is_int()) refuse(std::string("'") + key + "' is no whole number");
  const int64_t index = value.as_int(where());
  if (index < 0 || index >= static_cast<int64_t>(count)) {
    refuse(std::string("'") + key + "' is " + std::to_string(index) + ", there are " + std::to_string(count) +
           " choices, counted from 0");
  }
  return index;
}

void for_each_record(const std::string& path, const std::function<bool(const Record&)>& visit) {
  const std::shared_ptr<MappedFile> file = MappedFile::open(path);
  std::string_view rest(reinterpret_cast<const char*>(file->data()), file->size());
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = place(path, number);
    if (!visit(Record(parse_line(line, where), path, number))) return;
  }
}

}  // namespace quamba2
