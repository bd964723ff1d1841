// SPDX-License-Identifier: Apache-2.0
// A zip archive in memory. The directory is read here, because libzip does not tell where the bytes of a stored entry
// lie, and those are to be used in place; libzip inflates the entries that are compressed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quamba2 {

struct ZipEntry {
  std::string name;
  uint64_t index = 0;              // in the directory
  uint16_t method = 0;             // 0: stored
  uint64_t bytes = 0, packed = 0;  // of the content, and of what lies in the archive
  uint64_t header = 0;             // where its local header begins
};

class ZipArchive {
 public:
  // `file` must outlive the archive; `where` names it in messages. Throws Error{kModelFile}.
  ZipArchive(std::string_view file, std::string where);
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  const std::vector<ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(std::string_view name) const;
  // The bytes of a stored entry inside `file`.
  std::string_view stored(const ZipEntry& entry) const;
  // The content of any entry; one larger than `limit` bytes is refused. All inflated bytes of an archive together are
  // bounded by 16 times its size, or 256 MiB if that is more: weights do not compress better.
  std::string read(const ZipEntry& entry, uint64_t limit);

 private:
  struct Directory {
    uint64_t begin = 0, bytes = 0, entries = 0;
  };
  [[noreturn]] void fail(const std::string& why) const;
  uint64_t number(uint64_t at, int bytes) const;
  Directory find_directory() const;
  bool read_zip64_end(uint64_t end, Directory& directory) const;
  uint64_t read_entry(uint64_t at, const Directory& directory);
  void read_zip64_extra(std::string_view extra, ZipEntry& entry, const bool (&wide)[3]) const;

  std::string_view file_;
  std::string where_;
  std::vector<ZipEntry> entries_;
  std::unordered_map<std::string_view, size_t> by_name_;
  uint64_t inflated_ = 0;
};

}  // namespace quamba2
