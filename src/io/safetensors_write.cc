// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

const char* stored_name(DType dtype) {
  switch (dtype) {
    case DType::kF64: return "F64";
    case DType::kF32: return "F32";
    case DType::kF16: return "F16";
    case DType::kBF16: return "BF16";
    case DType::kI64: return "I64";
    case DType::kI32:
    case DType::kI6:
    case DType::kI4: return "I32";
    case DType::kI8: return "I8";
    case DType::kU8: return "U8";
  }
  return "?";
}

bool packed(DType dtype) { return bits_of(dtype) < 8; }

int element_bytes(DType dtype) { return packed(dtype) ? 4 : bits_of(dtype) / 8; }

std::string stored_shape(const std::string& name, const Tensor& tensor) {
  std::vector<int64_t> shape = tensor.shape();
  if (packed(tensor.dtype())) {
    QUAMBA2_CHECK(!shape.empty(), name + " is packed and has no row");
    shape.back() = (shape.back() * bits_of(tensor.dtype()) + 31) / 32;
  }
  return shape_text(shape);
}

std::string quoted(const std::string& text) { return Json(text).dump(-1); }

void check_names(const std::string& path, const NamedTensors& tensors) {
  std::set<std::string> seen;
  for (const auto& [name, tensor] : tensors) {
    const bool fresh = seen.insert(name).second;
    QUAMBA2_CHECK(fresh && name != "__metadata__", path + ": tensor name \"" + name + "\" is taken");
    QUAMBA2_CHECK(!tensor.empty() || tensor.bytes() == storage_bytes(tensor.dtype(), tensor.shape()),
                  name + " has no data");
  }
}

std::string header_of(const std::vector<const NamedTensors::value_type*>& order, const StringMap& metadata) {
  std::string text = "{\"__metadata__\":{";
  const StringMap used = metadata.empty() ? StringMap{{"format", "pt"}} : metadata;
  for (const auto& [key, value] : used) {
    if (text.back() != '{') text += ',';
    text += quoted(key) + ":" + quoted(value);
  }
  text += "}";
  uint64_t at = 0;
  for (const auto* item : order) {
    const auto& [name, tensor] = *item;
    const uint64_t end = at + tensor.bytes();
    text += "," + quoted(name) + ":{\"dtype\":\"" + stored_name(tensor.dtype()) +
            "\",\"shape\":" + stored_shape(name, tensor) + ",\"data_offsets\":[" + std::to_string(at) + "," +
            std::to_string(end) + "]}";
    at = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

std::string shard_name(size_t index, size_t count) {
  const auto five = [](size_t n) {
    const std::string digits = std::to_string(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return "model-" + five(index + 1) + "-of-" + five(count) + ".safetensors";
}

void write_index(const std::string& directory, const std::vector<NamedTensors>& shards, uint64_t total) {
  std::string text =
      "{\n  \"metadata\": {\n    \"total_size\": " + std::to_string(total) + "\n  },\n  \"weight_map\": {";
  const char* separator = "\n    ";
  for (size_t i = 0; i < shards.size(); ++i) {
    for (const auto& [name, tensor] : shards[i]) {
      text += separator + quoted(name) + ": " + quoted(shard_name(i, shards.size()));
      separator = ",\n    ";
    }
  }
  write_file(join_path(directory, "model.safetensors.index.json"), text + "\n  }\n}\n");
}

}  // namespace

void write_safetensors(const std::string& path, const NamedTensors& tensors, const StringMap& metadata) {
  check_names(path, tensors);
  std::vector<const NamedTensors::value_type*> order;
  for (int bytes = 8; bytes >= 1; bytes /= 2) {
    for (const auto& item : tensors) {
      if (element_bytes(item.second.dtype()) == bytes) order.push_back(&item);
    }
  }
  const std::string header = header_of(order, metadata);
  unsigned char length[8];
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(header.size() >> (8 * i));
  AtomicFile file(path);
  file.write(length, sizeof length);
  file.write(header);
  for (const auto* item : order) {
    file.write(item->second.data(), item->second.bytes());
    item->second.release_pages();  // of a mapped file: a model larger than memory passes through
  }
  file.commit();
}

std::vector<std::string> write_checkpoint(const std::string& directory, const NamedTensors& tensors,
                                          uint64_t shard_limit) {
  std::vector<NamedTensors> shards(1);
  uint64_t total = 0, in_shard = 0;
  for (const auto& item : tensors) {
    const uint64_t bytes = item.second.bytes();
    if (in_shard > 0 && bytes > 0 && (in_shard >= shard_limit || bytes > shard_limit - in_shard)) {
      shards.emplace_back();
      in_shard = 0;
    }
    shards.back().push_back(item);
    in_shard += bytes;
    total += bytes;
  }
  if (shards.size() == 1) {
    write_safetensors(join_path(directory, "model.safetensors"), tensors);
    return {"model.safetensors"};
  }
  check_names(directory, tensors);
  std::vector<std::string> files;
  for (size_t i = 0; i < shards.size(); ++i) {
    files.push_back(shard_name(i, shards.size()));
    write_safetensors(join_path(directory, files.back()), shards[i]);
  }
  write_index(directory, shards, total);
  files.push_back("model.safetensors.index.json");
  return files;
}

}  // namespace quamba2
