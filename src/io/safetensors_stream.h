// SPDX-License-Identifier: Apache-2.0
// Writes a safetensors file whose tensors never lie in memory.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "io/safetensors.h"

namespace quamba2 {

// Bytes come in the order of the entries, in pieces of any size; the file appears by `commit`.
class SafetensorsStream {
 public:
  // Names, types and shapes count; begin and end are filled in. Entries should come with the largest elements first, so
  // that every tensor is aligned to its type.
  SafetensorsStream(const std::string& path, std::vector<SafetensorsEntry> entries);
  void write(const void* data, size_t bytes);
  // Throws Error{kInternal} where bytes are missing.
  void commit();
  uint64_t bytes() const { return entries_.empty() ? 0 : entries_.back().end; }

 private:
  std::vector<SafetensorsEntry> entries_;
  AtomicFile file_;
  uint64_t written_ = 0;
};

}  // namespace quamba2
