// SPDX-License-Identifier: Apache-2.0
// The directory where clients may keep states, and the names that they may have there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quamba2::server {

// Throws Error{kUsage} for one that is named and is no directory.
void check_state_dir(const std::string& directory);

// The file of a state. Names have 1 to 64 of A-Z a-z 0-9 . _ - and do not begin with a dot, so that no path leads out.
// Throws ApiError 400 for others, 404 where no directory was given, and with `must_exist` where there is no such file.
std::string state_path(const std::string& directory, const std::string& name, bool must_exist);

struct StateEntry {
  std::string name;
  uint64_t bytes = 0;
};
std::vector<StateEntry> list_states(const std::string& directory);  // by name

}  // namespace quamba2::server
