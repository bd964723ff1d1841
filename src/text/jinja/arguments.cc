// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/builtins.h"

namespace quamba2::jinja {

void Arguments::check(const std::string& what, std::initializer_list<std::string_view> names, size_t required) const {
  if (positional.size() > names.size()) {
    failed(what + " takes " + std::to_string(names.size()) + " arguments at most, not " +
           std::to_string(positional.size()));
  }
  for (const auto& [name, value] : named) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) unsupported(what + " with the argument \"" + name + "\" is not known here");
    if (static_cast<size_t>(at - names.begin()) < positional.size()) failed(what + " has \"" + name + "\" twice");
  }
  size_t index = 0;
  for (const std::string_view name : names) {
    if (index < required && !get(index, name)) failed(what + " lacks the argument \"" + std::string(name) + "\"");
    ++index;
  }
}

const Value* Arguments::get(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace quamba2::jinja
