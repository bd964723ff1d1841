// SPDX-License-Identifier: Apache-2.0
#include "support/paths.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace quamba2::testing {
namespace {

struct TemporaryDirectories {
  std::vector<std::string> paths;
  ~TemporaryDirectories() {
    std::error_code ignored;
    for (const std::string& path : paths) std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

// QUAMBA2_SOURCE is for programs that were carried to another machine.
std::string source_path(const std::string& relative) {
  const char* named = std::getenv("QUAMBA2_SOURCE");
  return std::string(named ? named : QUAMBA2_SOURCE_DIR) + "/" + relative;
}

std::string shared_path(const std::string& relative) {
  const char* named = std::getenv("QUAMBA2_SHARED");
  const std::string root = named ? named : std::string(QUAMBA2_SOURCE_DIR) + "/../shared";
  const std::string path = root + "/" + relative;
  return std::filesystem::exists(path) ? path : "";
}

std::string temporary_directory() {
  static TemporaryDirectories made;
  std::string pattern = (std::filesystem::temp_directory_path() / "quamba2-test-XXXXXX").string();
  if (!mkdtemp(pattern.data())) std::abort();
  made.paths.push_back(pattern);
  return pattern;
}

}  // namespace quamba2::testing
