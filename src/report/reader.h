// SPDX-License-Identifier: Apache-2.0
// Reads members of a JSON object that came from outside: an absent or null one is unknown, anything else must be what is
// expected and within bounds that no measurement leaves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace quamba2::report {

[[noreturn]] void refuse(const std::string& where, const std::string& why);

class Reader {
 public:
  // Error messages name the place as "b.json: others[2]": the file, and the path in it (empty for the whole). Throws where
  // `object` is none.
  Reader(const Json& object, std::string file, std::string path = "");

  std::string text(std::string_view key) const;
  std::string required_text(std::string_view key) const;
  double number(std::string_view key, double least, double most) const;
  double at_least_zero(std::string_view key) const { return number(key, 0, 1e18); }
  std::vector<std::string> texts(std::string_view key, size_t most) const;
  // The objects of a list; empty where it is absent.
  std::vector<Reader> objects(std::string_view key, size_t most) const;
  Reader required_object(std::string_view key) const;
  const std::string& file() const { return file_; }
  // The place of a member, for a message.
  std::string place(std::string_view key) const { return file_ + ": " + inner(key); }

 private:
  std::string inner(std::string_view key) const { return path_ + (path_.empty() ? "" : ".") + std::string(key); }
  const Json::Array* list(std::string_view key, size_t most) const;

  const Json* object_;
  std::string file_, path_;
};

// Every element of a list must be an object.
std::vector<Reader> objects_of(const Json& list, const std::string& file, const std::string& path, size_t most);

}  // namespace quamba2::report
