// SPDX-License-Identifier: Apache-2.0
// Files: whole reads, read-only maps, and writes that are either there in full or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

bool path_exists(const std::string& path);
bool is_directory(const std::string& path);
std::string join_path(const std::string& directory, const std::string& name);
// The last component of a path; trailing slashes are ignored.
std::string base_name(const std::string& path);
std::string parent_path(const std::string& path);
// Names (not paths) of the regular files of a directory, sorted. Throws Error{kModelFile}.
std::vector<std::string> list_files(const std::string& directory);

// The whole file; one larger than `limit` bytes is refused. Throws Error{kModelFile}.
std::string read_file(const std::string& path, uint64_t limit = 1ull << 32);

// A read-only map of a file. Pages come in when touched and can be given back.
class MappedFile {
 public:
  static std::shared_ptr<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }
  // Drops the pages that lie in [begin, end) from memory; a later touch reads them from the file again. Whole pages
  // only: the partial ones at both ends stay.
  void release(const std::byte* begin, const std::byte* end) const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// Writes `path` through a temporary sibling: write as often as needed, then `commit` (flush to disk, rename). Without
// commit the temporary file is removed. Throws Error{kRuntime}; a full disk is named as such.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

// A file with this text, through AtomicFile.
void write_file(const std::string& path, std::string_view text);

// A directory that appears under its name only when it is whole: fill `path()`, then `commit`. An existing target is
// refused unless `replace`; it is then exchanged in one step and removed. Leftovers of a killed run beside the target
// are removed first. Throws Error{kRuntime}, or Error{kUsage} for an existing target.
class AtomicDirectory {
 public:
  AtomicDirectory(std::string target, bool replace);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;
  const std::string& path() const { return temporary_; }
  void commit();

 private:
  std::string target_, temporary_;
  bool replace_ = false, committed_ = false;
};

void copy_file(const std::string& from, const std::string& to);

}  // namespace quamba2
