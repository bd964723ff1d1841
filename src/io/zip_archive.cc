// SPDX-License-Identifier: Apache-2.0
// Record layouts: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16 (end
// records), 4.5.3 (ZIP64 extra field).
#include "io/zip_archive.h"

#include <zip.h>

#include <algorithm>

#include "io/file_kind.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr uint64_t kMaxEntries = 400'000;
constexpr uint64_t kMaxName = 1024;
constexpr uint64_t kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20, kEntryBytes = 46, kLocalBytes = 30;
constexpr uint32_t kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr uint32_t kEntrySignature = 0x02014b50, kLocalSignature = 0x04034b50;
constexpr uint32_t kWide = 0xffffffff;  // the true number is in a ZIP64 record

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

zip_t* open_with_libzip(std::string_view file, const std::string& where) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(file.data(), file.size(), 0, &error);
  zip_t* archive = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : nullptr;
  if (source && !archive) zip_source_free(source);
  const std::string reason = archive ? "" : zip_error_strerror(&error);
  zip_error_fini(&error);
  if (!archive) {
    throw Error(ErrorCode::kModelFile, "invalid zip archive", where, "libzip cannot open it: " + reason,
                "fetch the file again");
  }
  return archive;
}

}  // namespace

void ZipArchive::fail(const std::string& why) const {
  throw Error(ErrorCode::kModelFile, "invalid zip archive", where_, why,
              "the file is truncated or damaged; fetch it again");
}

uint64_t ZipArchive::number(uint64_t at, int bytes) const {
  const auto n = static_cast<uint64_t>(bytes);
  if (at > file_.size() || n > file_.size() - at) {
    fail("a record at byte " + std::to_string(at) + " reaches past the end of the file at " +
         std::to_string(file_.size()));
  }
  return little_endian(file_.substr(at, n));
}

bool ZipArchive::read_zip64_end(uint64_t end, Directory& directory) const {
  if (end < kLocator64Bytes || number(end - kLocator64Bytes, 4) != kLocator64Signature) return false;
  const uint64_t at = number(end - kLocator64Bytes + 8, 8);
  if (at > end || end - at < kEnd64Bytes || number(at, 4) != kEnd64Signature) fail("its ZIP64 end record is missing");
  directory = {number(at + 48, 8), number(at + 40, 8), number(at + 32, 8)};
  return true;
}

ZipArchive::Directory ZipArchive::find_directory() const {
  if (file_.size() < kEndBytes) fail("it has " + std::to_string(file_.size()) + " bytes, too few for an archive");
  const uint64_t last = file_.size() - kEndBytes, first = last > 0xffff ? last - 0xffff : 0;  // a comment may follow
  for (uint64_t at = last + 1; at-- > first;) {
    if (number(at, 4) != kEndSignature || number(at + 20, 2) != last - at) continue;
    Directory directory;
    if (!read_zip64_end(at, directory)) directory = {number(at + 16, 4), number(at + 12, 4), number(at + 10, 2)};
    if (directory.begin > at || directory.bytes > at - directory.begin) {
      fail("its directory of " + std::to_string(directory.bytes) + " bytes at byte " + std::to_string(directory.begin) +
           " does not lie before its end record at byte " + std::to_string(at));
    }
    if (directory.entries > kMaxEntries || directory.entries > directory.bytes / kEntryBytes) {
      fail("its directory claims " + std::to_string(directory.entries) + " entries in " +
           std::to_string(directory.bytes) + " bytes");
    }
    return directory;
  }
  fail("it has no end record, so its last part is missing");
}

// `wide` says which of content size, packed size and header position stand in the field, in this order.
void ZipArchive::read_zip64_extra(std::string_view extra, ZipEntry& entry, const bool (&wide)[3]) const {
  while (extra.size() >= 4) {
    const uint64_t id = little_endian(extra.substr(0, 2)), bytes = little_endian(extra.substr(2, 2));
    if (bytes > extra.size() - 4) break;
    std::string_view field = extra.substr(4, bytes);
    extra.remove_prefix(4 + bytes);
    if (id != 1) continue;
    uint64_t* const targets[3] = {&entry.bytes, &entry.packed, &entry.header};
    for (size_t i = 0; i < 3; ++i) {
      if (!wide[i]) continue;
      if (field.size() < 8) fail("the ZIP64 field of entry \"" + printable(entry.name) + "\" is too short");
      *targets[i] = little_endian(field.substr(0, 8));
      field.remove_prefix(8);
    }
    return;
  }
  fail("entry \"" + printable(entry.name) + "\" lacks its ZIP64 field");
}

uint64_t ZipArchive::read_entry(uint64_t at, const Directory& directory) {
  const uint64_t end = directory.begin + directory.bytes;
  if (at > end || end - at < kEntryBytes || number(at, 4) != kEntrySignature) {
    fail("entry " + std::to_string(entries_.size()) + " of its directory is missing at byte " + std::to_string(at));
  }
  const uint64_t name = number(at + 28, 2), extra = number(at + 30, 2), comment = number(at + 32, 2);
  if (name + extra + comment > end - at - kEntryBytes)
    fail("entry " + std::to_string(entries_.size()) + " reaches past its directory");
  if (name > kMaxName) fail("an entry's name has " + std::to_string(name) + " bytes");
  ZipEntry entry;
  entry.name = file_.substr(at + kEntryBytes, name);
  entry.index = entries_.size();
  entry.method = static_cast<uint16_t>(number(at + 10, 2));
  entry.packed = number(at + 20, 4);
  entry.bytes = number(at + 24, 4);
  entry.header = number(at + 42, 4);
  if (number(at + 8, 2) & 1) fail("entry \"" + printable(entry.name) + "\" is encrypted");
  const bool wide[3] = {entry.bytes == kWide, entry.packed == kWide, entry.header == kWide};
  if (wide[0] || wide[1] || wide[2]) read_zip64_extra(file_.substr(at + kEntryBytes + name, extra), entry, wide);
  entries_.push_back(std::move(entry));
  return at + kEntryBytes + name + extra + comment;
}

ZipArchive::ZipArchive(std::string_view file, std::string where) : file_(file), where_(std::move(where)) {
  const Directory directory = find_directory();
  entries_.reserve(directory.entries);  // names are views into the entries, which must not move
  uint64_t at = directory.begin;
  for (uint64_t i = 0; i < directory.entries; ++i) at = read_entry(at, directory);
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!by_name_.emplace(entries_[i].name, i).second)
      fail("entry \"" + printable(entries_[i].name) + "\" appears twice");
  }
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::string_view ZipArchive::stored(const ZipEntry& entry) const {
  const std::string place = "entry \"" + printable(entry.name) + "\"";
  if (entry.method != 0 || entry.bytes != entry.packed) fail(place + " is stored with different sizes");
  if (entry.header > file_.size() || number(entry.header, 4) != kLocalSignature) {
    fail(place + " has no header at byte " + std::to_string(entry.header));
  }
  const uint64_t name = number(entry.header + 26, 2), extra = number(entry.header + 28, 2);
  const uint64_t begin = entry.header + kLocalBytes + name + extra;
  if (begin > file_.size() || entry.bytes > file_.size() - begin) {
    fail(place + " has " + std::to_string(entry.bytes) + " bytes at byte " + std::to_string(begin) +
         ", past the end of the file at " + std::to_string(file_.size()));
  }
  if (file_.substr(entry.header + kLocalBytes, name) != entry.name) fail(place + " has another name in its own header");
  return file_.substr(begin, entry.bytes);
}

std::string ZipArchive::read(const ZipEntry& entry, uint64_t limit) {
  const std::string place = "entry \"" + printable(entry.name) + "\"";
  if (entry.bytes > limit)
    fail(place + " has " + std::to_string(entry.bytes) + " bytes, more than the " + std::to_string(limit) + " allowed");
  if (entry.method == 0) return std::string(stored(entry));
  const uint64_t allowed = std::max<uint64_t>(256u << 20, file_.size() * 16);
  if (entry.bytes > allowed - inflated_)
    fail(place + " inflates to " + std::to_string(entry.bytes) + " bytes, more than weights can");
  inflated_ += entry.bytes;

  const std::unique_ptr<zip_t, void (*)(zip_t*)> archive(open_with_libzip(file_, where_), zip_discard);
  const char* name = zip_get_name(archive.get(), entry.index, ZIP_FL_ENC_RAW);
  if (!name || entry.name != name) fail(place + " has another name for libzip");
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> content(zip_fopen_index(archive.get(), entry.index, 0),
                                                                  zip_fclose);
  if (!content) fail(place + " cannot be unpacked: " + zip_strerror(archive.get()));
  std::string out(entry.bytes, '\0');
  uint64_t got = 0;
  while (got < out.size()) {
    const zip_int64_t n = zip_fread(content.get(), out.data() + got, out.size() - got);
    if (n <= 0) fail(place + " unpacks to " + std::to_string(got) + " bytes, not " + std::to_string(entry.bytes));
    got += static_cast<uint64_t>(n);
  }
  char more = 0;
  if (zip_fread(content.get(), &more, 1) != 0)
    fail(place + " is damaged, or unpacks to more than " + std::to_string(got) + " bytes");
  return out;
}

}  // namespace quamba2
