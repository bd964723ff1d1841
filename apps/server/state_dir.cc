// SPDX-License-Identifier: Apache-2.0
#include "state_dir.h"

#include <algorithm>
#include <filesystem>

#include "api_error.h"

namespace quamba2::server {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxName = 64;
constexpr const char* kSuffix = ".state";

bool is_name(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= kMaxName && name[0] != '.' && std::all_of(name.begin(), name.end(), good);
}

// Not a link: it might lead out.
bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() == fs::file_type::regular;
}

void check_given(const std::string& directory) {
  if (directory.empty())
    throw ApiError(404, "states are not kept here: start the server with --state-dir", "", "no_states");
}

}  // namespace

void check_state_dir(const std::string& directory) {
  std::error_code ignored;
  if (directory.empty() || fs::is_directory(directory, ignored)) return;
  throw Error(ErrorCode::kUsage, "no such directory", directory, "states are to be kept there", "make it first");
}

std::string state_path(const std::string& directory, const std::string& name, bool must_exist) {
  check_given(directory);
  if (!is_name(name))
    throw ApiError(400, "bad name of a state: it has 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with a dot",
                   "name");
  const fs::path path = fs::path(directory) / (name + kSuffix);
  if (must_exist && !is_file(path)) throw ApiError(404, "there is no state '" + name + "'", "name", "state_not_found");
  return path.string();
}

std::vector<StateEntry> list_states(const std::string& directory) {
  check_given(directory);
  std::vector<StateEntry> out;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    const fs::path& path = entry.path();
    if (path.extension() == kSuffix && is_name(path.stem().string()) && is_file(path))
      out.push_back({path.stem().string(), entry.file_size(ignored)});
  }
  std::sort(out.begin(), out.end(), [](const StateEntry& a, const StateEntry& b) { return a.name < b.name; });
  return out;
}

}  // namespace quamba2::server
