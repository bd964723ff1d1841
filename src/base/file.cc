// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

std::string errno_text(int code) {
  if (code == ENOSPC || code == EDQUOT) return "no space left on the disk";
  if (code == EACCES || code == EPERM || code == EROFS) return "permission denied";
  if (code == ENOENT) return "no such file or directory";
  return std::strerror(code);
}

[[noreturn]] void fail_read(const std::string& path, int code) {
  if (code == ENOMEM) {
    throw Error(ErrorCode::kResource, "out of memory", path, "the file cannot be mapped",
                "close other programs or raise the limit of this one");
  }
  throw Error(ErrorCode::kModelFile, "cannot read file", path, errno_text(code), "check the path and its permissions");
}

[[noreturn]] void fail_write(const std::string& path, int code) {
  const bool full = code == ENOSPC || code == EDQUOT;
  throw Error(ErrorCode::kRuntime, "cannot write", path, errno_text(code),
              full ? "free space or choose another target; nothing was left behind" : "choose a writable target");
}

void sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // some file systems do not allow it; the data itself is synced already
  ::fsync(fd);
  ::close(fd);
}

std::string strip_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

bool path_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool is_directory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string join_path(const std::string& directory, const std::string& name) {
  if (directory.empty() || directory.back() == '/') return directory + name;
  return directory + "/" + name;
}

std::string base_name(const std::string& path) {
  const std::string stripped = strip_slashes(path);
  const size_t slash = stripped.rfind('/');
  return slash == stripped.npos ? stripped : stripped.substr(slash + 1);
}

std::string parent_path(const std::string& path) {
  const std::string stripped = strip_slashes(path);
  const size_t slash = stripped.rfind('/');
  if (slash == stripped.npos) return ".";
  return slash == 0 ? "/" : stripped.substr(0, slash);
}

std::vector<std::string> list_files(const std::string& directory) {
  DIR* dir = ::opendir(directory.c_str());
  if (!dir) fail_read(directory, errno);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) {
    struct stat info{};
    const std::string name = entry->d_name;
    if (::stat(join_path(directory, name).c_str(), &info) == 0 && S_ISREG(info.st_mode)) names.push_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_file(const std::string& path, uint64_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_read(path, errno);
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int code = errno;
      ::close(fd);
      fail_read(path, code);
    }
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > limit) {
      ::close(fd);
      throw Error(ErrorCode::kModelFile, "file too large", path, "more than " + std::to_string(limit) + " bytes",
                  "this file is expected to be small; check that it is the right one");
    }
  }
  ::close(fd);
  return text;
}

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_read(path, errno);
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw Error(ErrorCode::kModelFile, "cannot read file", path, "it is not a regular file", "check the path");
  }
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = static_cast<size_t>(info.st_size);
  if (file->size_ > 0) {
    void* map = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
      const int code = errno;
      ::close(fd);
      fail_read(path, code);
    }
    file->data_ = static_cast<const std::byte*>(map);
  }
  ::close(fd);
  return file;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(const std::byte* begin, const std::byte* end) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t lo = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const uintptr_t hi = reinterpret_cast<uintptr_t>(end) / page * page;
  if (lo < hi) ::madvise(reinterpret_cast<void*>(lo), hi - lo, MADV_DONTNEED);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  temporary_ = path_ + ".tmp." + std::to_string(::getpid());
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_write(path_, errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t put = ::write(fd_, at, std::min<size_t>(bytes, 1u << 30));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_write(path_, errno);
    at += put;
    bytes -= static_cast<size_t>(put);
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail_write(path_, errno);
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary_.c_str());
    fail_write(path_, code);
  }
  sync_directory(parent_path(path_));
}

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

AtomicDirectory::AtomicDirectory(std::string target, bool replace)
    : target_(strip_slashes(std::move(target))), replace_(replace) {
  namespace fs = std::filesystem;
  std::error_code code;
  if (path_exists(target_) && !replace_) {
    throw Error(ErrorCode::kUsage, "output exists", target_, "it would be overwritten",
                "pass --force or choose another");
  }
  const std::string parent = parent_path(target_);
  fs::create_directories(parent, code);
  if (code) fail_write(parent, code.value());
  const std::string prefix = "." + base_name(target_) + ".partial.";
  for (const auto& entry : fs::directory_iterator(parent, code)) {
    const std::string name = entry.path().filename().string();
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    const long owner = std::strtol(name.c_str() + prefix.size(), nullptr, 10);
    const bool alive = owner > 0 && path_exists("/proc/" + std::to_string(owner));
    std::error_code ignored;
    if (!alive) fs::remove_all(entry.path(), ignored);
  }
  temporary_ = join_path(parent, prefix + std::to_string(::getpid()));
  fs::remove_all(temporary_, code);
  if (::mkdir(temporary_.c_str(), 0755) != 0) fail_write(target_, errno);
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;
  if (!committed_) std::filesystem::remove_all(temporary_, ignored);
}

void AtomicDirectory::commit() {
  sync_directory(temporary_);
  if (replace_ && path_exists(target_)) {
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0) {
      fail_write(target_, errno);
    }
    std::error_code ignored;  // now holds the old content
    std::filesystem::remove_all(temporary_, ignored);
  } else if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    fail_write(target_, errno);
  }
  committed_ = true;
  sync_directory(parent_path(target_));
}

void copy_file(const std::string& from, const std::string& to) {
  const auto source = MappedFile::open(from);
  AtomicFile out(to);
  out.write(source->data(), source->size());
  out.commit();
}

}  // namespace quamba2
