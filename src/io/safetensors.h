// SPDX-License-Identifier: Apache-2.0
// Safetensors files. Reading maps the file and copies nothing; every number of the header is checked before it is used.
// As the official implementation does, tensors must tile the data part: holes, overlaps and trailing bytes are refused.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace quamba2 {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using StringMap = std::map<std::string, std::string>;

// Where one tensor lies: bytes [begin, end) of the file.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

struct SafetensorsLayout {
  std::vector<SafetensorsEntry> entries;  // in the order of their bytes
  StringMap metadata;
};

// Checks a whole file that lies in memory. `where` names it in messages. Throws Error{kModelFile}.
SafetensorsLayout parse_safetensors(std::string_view file, const std::string& where);

// All tensors of a file, mapped. (One that lies at an address that is odd for its type is copied.) Throws
// Error{kModelFile}; a type outside F64 F32 F16 BF16 I64 I32 I8 U8 is refused by name.
std::map<std::string, Tensor> read_safetensors(const std::string& path, StringMap* metadata = nullptr);

// Writes a file that appears in full or not at all. Data is ordered by element size, largest first, and otherwise as
// given: so every tensor is aligned to its type and there are no holes. kI4 and kI6 tensors are written as the I32
// words that hold them: [rows, K] becomes [rows, words]. Empty `metadata` becomes {"format": "pt"}.
void write_safetensors(const std::string& path, const NamedTensors& tensors, const StringMap& metadata = {});

constexpr uint64_t kShardLimit = 5'000'000'000;

// Writes model.safetensors, or where the bytes exceed `shard_limit` model-00001-of-0000N.safetensors and so on with
// model.safetensors.index.json. The directory must exist. Returns the names of the files written.
std::vector<std::string> write_checkpoint(const std::string& directory, const NamedTensors& tensors,
                                          uint64_t shard_limit = kShardLimit);

}  // namespace quamba2
