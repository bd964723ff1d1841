// SPDX-License-Identifier: Apache-2.0
// For tests: writes pickles opcode by opcode and zip archives record by record, so that every byte can be made wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quamba2/error.h"

namespace quamba2::testing {

std::string little(uint64_t value, int bytes);

// Opcodes of protocol 2, as torch.save writes them.
namespace pkl {
std::string text(std::string_view value);
std::string integer(int64_t value);
std::string tuple(const std::vector<std::string>& items);
std::string global(std::string_view module, std::string_view name);
std::string storage(std::string_view type, std::string_view key, int64_t elements);
std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                   const std::vector<int64_t>& strides);
// PROTO, a dictionary of name and value, STOP.
std::string program(const std::vector<std::pair<std::string, std::string>>& items);
}  // namespace pkl

// Entries are stored, without compression or alignment. With `wide`, sizes and positions stand in ZIP64 records, as in
// files over 4 GB.
struct ArchiveEntry {
  std::string name, content;
};
std::string archive(const std::vector<ArchiveEntry>& entries, bool wide = false);

// A whole checkpoint: a pickle, and its storages data/0, data/1, ...
std::string checkpoint(const std::string& pickle, const std::vector<std::string>& storages);

void write_bytes(const std::string& path, std::string_view bytes);

// The text of the Error that a call throws; empty where it throws none. One of our own faults says "internal".
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& e) {
    return e.code() == ErrorCode::kInternal ? std::string("internal: ") + e.what() : e.what();
  }
  return "";
}

}  // namespace quamba2::testing
