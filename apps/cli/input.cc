// SPDX-License-Identifier: Apache-2.0
#include "input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "interrupt.h"
#include "quamba2/error.h"

namespace quamba2::cli {
namespace {

[[noreturn]] void cannot_read(const std::string& path, const std::string& option, const std::string& why) {
  throw Error(ErrorCode::kModelFile, "cannot read " + option, path == "-" ? "standard input" : path, why);
}

std::string parent(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const size_t slash = trimmed.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : trimmed.substr(0, slash);
}

}  // namespace

std::string read_input(const std::string& path, const std::string& option) {
  const int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) cannot_read(path, option, std::strerror(errno));
  const auto close_it = [](const int* at) { close(*at); };
  const std::unique_ptr<const int, decltype(close_it)> closer(&fd, close_it);
  std::string text;
  std::string block(1 << 16, '\0');
  while (true) {
    const ssize_t count = read(fd, block.data(), block.size());
    if (count == 0) return text;
    if (interrupted()) throw Error(ErrorCode::kInterrupted, "interrupted", "", "");
    if (count > 0)
      text.append(block, 0, static_cast<size_t>(count));
    else if (errno != EINTR)
      cannot_read(path, option, std::strerror(errno));
  }
}

void check_model_of(const Engine& engine, const PausedText& paused, const std::string& path) {
  try {
    if (!paused.ids.empty()) engine.check_model_of(paused);
  } catch (const Error& e) {
    throw e.within(path);
  }
}

bool exists(const std::string& path) {
  struct stat ignored{};
  return lstat(path.c_str(), &ignored) == 0;
}

std::string model_directory(const std::string& model) {
  struct stat status{};
  if (stat(model.c_str(), &status) != 0) return model;
  return S_ISDIR(status.st_mode) ? model : parent(model);
}

void check_writable_place(const std::string& path, const std::string& option) {
  const std::string folder = parent(path);
  struct stat status{};
  std::string why;
  if (stat(folder.c_str(), &status) != 0)
    why = std::strerror(errno);
  else if (!S_ISDIR(status.st_mode))
    why = "not a directory";
  else if (access(folder.c_str(), W_OK | X_OK) != 0)
    why = std::strerror(errno);
  if (!why.empty())
    throw Error(ErrorCode::kRuntime, "cannot write " + option, folder, why, "give a place that can be written");
}

void check_target(const std::string& output, bool force) {
  if (exists(output) && !force) {
    throw Error(ErrorCode::kUsage, "the target is there already", output, "it is not overwritten unasked",
                "give another --output, or --force");
  }
  check_writable_place(output, "--output");
}

}  // namespace quamba2::cli
