// SPDX-License-Identifier: Apache-2.0
#include "io/part_files.h"

#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "io/artifact.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr const char* kKey = "quamba2";
constexpr const char* kJobFile = "job.txt";
constexpr size_t kMostJobBytes = 1 << 20;

[[noreturn]] void cannot_write(const std::string& path, const std::error_code& why) {
  throw Error(ErrorCode::kRuntime, "cannot write", path, why.message(), "give an output in another place");
}

}  // namespace

PartFiles::PartFiles(std::string directory, const std::string& job, bool resume) : directory_(std::move(directory)) {
  const std::string file = join_path(directory_, kJobFile);
  if (resume && path_exists(file)) {
    if (read_file(file, kMostJobBytes) == job) return;
    throw Error(ErrorCode::kUsage, "cannot resume", directory_,
                "what is there was made from another model or with other options",
                "repeat the options of that job, or leave --resume out to begin anew");
  }
  remove(directory_);
  std::error_code failed;
  std::filesystem::create_directories(directory_, failed);
  if (failed) cannot_write(directory_, failed);
  write_file(file, job);
}

std::string PartFiles::path(int64_t part) const {
  return join_path(directory_, "part-" + std::to_string(part) + ".safetensors");
}

bool PartFiles::has(int64_t part) const { return path_exists(path(part)); }

Artifact PartFiles::read(int64_t part) const {
  StringMap metadata;
  Checkpoint checkpoint;
  checkpoint.directory = directory_;
  checkpoint.tensors = read_safetensors(path(part), &metadata);
  Json quantization(Json::Object{});
  quantization.set(kKey, Json::parse(metadata[kKey], path(part)));
  checkpoint.config = Json(Json::Object{});
  checkpoint.config.set("quantization_config", std::move(quantization));
  return read_artifact(checkpoint);
}

void PartFiles::write(int64_t part, const Artifact& artifact) const {
  NamedTensors tensors;
  const Json ours = describe_artifact(artifact, &tensors);
  write_safetensors(path(part), tensors, {{"format", "pt"}, {kKey, ours.dump()}});
}

void PartFiles::remove(const std::string& directory) {
  std::error_code ignored;
  if (path_exists(join_path(directory, kJobFile))) std::filesystem::remove_all(directory, ignored);
}

}  // namespace quamba2
