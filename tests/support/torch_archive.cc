// SPDX-License-Identifier: Apache-2.0
#include "support/torch_archive.h"

#include "base/file.h"

namespace quamba2::testing {

std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
  return out;
}

namespace pkl {

std::string text(std::string_view value) { return std::string("X") + little(value.size(), 4) + std::string(value); }

std::string integer(int64_t value) { return std::string("\x8a\x08") + little(static_cast<uint64_t>(value), 8); }

std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}

std::string global(std::string_view module, std::string_view name) {
  return std::string("c") + std::string(module) + "\n" + std::string(name) + "\n";
}

std::string storage(std::string_view type, std::string_view key, int64_t elements) {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(elements)}) + "Q";
}

std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                   const std::vector<int64_t>& strides) {
  std::vector<std::string> dims, steps;
  for (int64_t n : shape) dims.push_back(integer(n));
  for (int64_t n : strides) steps.push_back(integer(n));
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, integer(offset), tuple(dims), tuple(steps), "\x89",
                global("collections", "OrderedDict") + ")R"}) +
         "R";
}

std::string program(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = "\x80\x02}(";
  for (const auto& [name, value] : items) out += text(name) + value;
  return out + "u.";
}

}  // namespace pkl

std::string archive(const std::vector<ArchiveEntry>& entries, bool wide) {
  constexpr uint64_t kWide = 0xffffffff;
  std::string file, directory;
  for (const ArchiveEntry& entry : entries) {
    const uint64_t bytes = entry.content.size();
    // version, flags, method, time and date, crc (not read), packed and content size, length of the name
    const std::string head = little(10, 2) + little(0, 4) + little(0, 4) + little(0, 4);
    const std::string sizes = little(bytes, 4) + little(bytes, 4) + little(entry.name.size(), 2);
    const std::string wide_sizes = little(kWide, 4) + little(kWide, 4) + little(entry.name.size(), 2);
    const std::string field = little(0x7075, 2) + little(1, 2) + std::string("?") + little(1, 2) + little(24, 2) +
                              little(bytes, 8) + little(bytes, 8) + little(file.size(), 8);
    directory += little(0x02014b50, 4) + little(10, 2) + head + (wide ? wide_sizes : sizes) +
                 little(wide ? field.size() : 0, 2) + little(0, 10) + little(wide ? kWide : file.size(), 4) +
                 entry.name + (wide ? field : std::string());
    file += little(0x04034b50, 4) + head + sizes + little(0, 2) + entry.name + entry.content;
  }
  const uint64_t begin = file.size(), count = entries.size();
  file += directory;
  const uint64_t end64 = file.size();
  if (wide) {
    file += little(0x06064b50, 4) + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) + little(count, 8) +
            little(count, 8) + little(directory.size(), 8) + little(begin, 8);
    file += little(0x07064b50, 4) + little(0, 4) + little(end64, 8) + little(1, 4);
  }
  return file + little(0x06054b50, 4) + little(0, 4) + little(wide ? 0xffff : count, 2) +
         little(wide ? 0xffff : count, 2) + little(wide ? kWide : directory.size(), 4) +
         little(wide ? kWide : begin, 4) + little(0, 2);
}

std::string checkpoint(const std::string& pickle, const std::vector<std::string>& storages) {
  std::vector<ArchiveEntry> entries = {{"m/data.pkl", pickle}};
  for (size_t i = 0; i < storages.size(); ++i) entries.push_back({"m/data/" + std::to_string(i), storages[i]});
  return archive(entries);
}

void write_bytes(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace quamba2::testing
