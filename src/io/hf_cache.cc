// SPDX-License-Identifier: Apache-2.0
#include "io/hf_cache.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

#include "base/env.h"
#include "base/file.h"
#include "io/file_kind.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

bool is_name_part(const std::string& part) {
  if (part.empty() || part.size() > 96 || part[0] == '.' || part[0] == '-') return false;
  return std::all_of(part.begin(), part.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::vector<std::string> snapshots_of(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code code;
  std::filesystem::directory_iterator it(directory, code), end;
  for (; !code && it != end; it.increment(code)) {
    if (is_directory(it->path().string())) names.push_back(it->path().filename().string());
  }
  return names;
}

std::string revision_of_main(const std::string& repository) {
  const std::string path = join_path(repository, "refs/main");
  if (!path_exists(path)) return "";
  std::string revision = read_file(path, 1000);
  while (!revision.empty() && std::isspace(static_cast<unsigned char>(revision.back()))) revision.pop_back();
  if (!is_name_part(revision)) {
    throw Error(ErrorCode::kModelFile, "invalid cache entry", path, "\"" + printable(revision) + "\" is not a revision",
                "delete that model from the cache and download it again");
  }
  return revision;
}

}  // namespace

bool is_repository_name(const std::string& name) {
  const size_t slash = name.find('/');
  if (slash == name.npos) return is_name_part(name);
  return is_name_part(name.substr(0, slash)) && is_name_part(name.substr(slash + 1));
}

std::string hub_cache_directory() {
  if (const std::string named = environment_variable("HF_HUB_CACHE"); !named.empty()) return named;
  if (const std::string home = environment_variable("HF_HOME"); !home.empty()) return join_path(home, "hub");
  std::string cache = environment_variable("XDG_CACHE_HOME");
  if (cache.empty()) cache = join_path(environment_variable("HOME"), ".cache");
  return join_path(cache, "huggingface/hub");
}

std::string find_in_hub_cache(const std::string& name) {
  std::string folder = "models--" + name;
  if (const size_t slash = folder.find('/'); slash != folder.npos) folder.replace(slash, 1, "--");
  const std::string cache = hub_cache_directory();
  const std::string repository = join_path(cache, folder);
  const std::string hint = "this program never downloads; get it with `hf download " + name +
                           "` or pass the directory that holds its config.json";
  if (!is_directory(repository)) {
    throw Error(ErrorCode::kModelFile, "model not found", name,
                "there is no such file or directory, nor " + folder + " in the Hugging Face cache " + cache, hint);
  }
  const std::string snapshots = join_path(repository, "snapshots");
  const std::string revision = revision_of_main(repository);
  if (!revision.empty()) {
    const std::string found = join_path(snapshots, revision);
    if (is_directory(found)) return found;
    throw Error(ErrorCode::kModelFile, "model not found", name,
                "the cache names revision " + revision + ", but " + found + " is missing", hint);
  }
  const std::vector<std::string> all = snapshots_of(snapshots);
  if (all.size() == 1) return join_path(snapshots, all[0]);
  throw Error(ErrorCode::kModelFile, "model not found", name,
              repository + " has no refs/main and " + std::to_string(all.size()) + " snapshots",
              all.empty() ? hint : "pass the snapshot directory itself");
}

}  // namespace quamba2
