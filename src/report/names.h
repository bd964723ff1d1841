// SPDX-License-Identifier: Apache-2.0
// Numbers names in the order in which they are met.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace quamba2::report {

class Names {
 public:
  Names() = default;
  explicit Names(const std::vector<std::string>& known) {
    for (const std::string& name : known) index(name);
  }

  // A name that is new gets the next number.
  size_t index(const std::string& name) {
    const auto [at, added] = numbers_.try_emplace(name, list_.size());
    if (added) list_.push_back(name);
    return at->second;
  }
  // The number of a name, or how many there are.
  size_t find(const std::string& name) const {
    const auto at = numbers_.find(name);
    return at == numbers_.end() ? list_.size() : at->second;
  }
  const std::vector<std::string>& list() const { return list_; }

 private:
  std::map<std::string, size_t> numbers_;
  std::vector<std::string> list_;
};

}  // namespace quamba2::report
