// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "io/file_kind.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr const char* kDamaged = "the file is damaged or was not written by a safetensors library; fetch it again";

[[noreturn]] void fail(const std::string& where, const std::string& why, const std::string& hint = kDamaged) {
  throw Error(ErrorCode::kModelFile, "invalid safetensors file", where, why, hint);
}

std::string tensor_place(const std::string& where, const std::string& name) {
  return where + ": tensor \"" + printable(name) + "\"";
}

std::optional<DType> dtype_named(const std::string& name) {
  constexpr std::pair<const char*, DType> kNames[] = {
      {"F64", DType::kF64}, {"F32", DType::kF32}, {"F16", DType::kF16}, {"BF16", DType::kBF16},
      {"I64", DType::kI64}, {"I32", DType::kI32}, {"I8", DType::kI8},   {"U8", DType::kU8}};
  for (const auto& [text, dtype] : kNames) {
    if (name == text) return dtype;
  }
  return std::nullopt;
}

// The header's JSON text; `data_begin` is where the data part starts.
std::string_view header_text(std::string_view file, const std::string& where, uint64_t& data_begin) {
  refuse_placeholder(file, where);
  if (file.size() < 8)
    fail(where, "it has " + std::to_string(file.size()) + " bytes, fewer than the 8 of a header length");
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(file[static_cast<size_t>(i)]);
  if (length > kMaxHeader) {
    fail(where, "the header claims " + std::to_string(length) + " bytes, more than the " + std::to_string(kMaxHeader) +
                    " allowed; the first bytes are not those of a safetensors file");
  }
  if (length > file.size() - 8) {
    fail(where,
         "the header claims " + std::to_string(length) + " bytes, but only " + std::to_string(file.size() - 8) +
             " follow its length",
         "the file is truncated; fetch it again");
  }
  data_begin = 8 + length;
  const std::string_view text = file.substr(8, length);
  if (text.empty() || text[0] != '{') fail(where, "the header does not begin with '{'");
  return text;
}

StringMap read_metadata(const Json& value, const std::string& where) {
  const std::string place = where + ": __metadata__";
  if (!value.is_object()) fail(place, "it is not an object");
  StringMap out;
  for (const auto& [key, item] : value.as_object(place)) {
    if (!item.is_string()) fail(place, "the value of \"" + printable(key) + "\" is not a string");
    out[key] = item.as_string(place);
  }
  return out;
}

uint64_t unsigned_number(const Json& value, const std::string& place, const char* what) {
  if (!value.is_int() || value.as_int(place) < 0)
    fail(place, std::string(what) + " holds something other than whole numbers from 0");
  return static_cast<uint64_t>(value.as_int(place));
}

// Offsets in the result are still relative to the data part, which has `data_bytes` bytes.
SafetensorsEntry read_entry(const std::string& name, const Json& value, uint64_t data_bytes, const std::string& where) {
  const std::string place = tensor_place(where, name);
  const Json *dtype = value.find("dtype"), *shape = value.find("shape"), *offsets = value.find("data_offsets");
  if (!dtype || !shape || !offsets) fail(place, "its entry lacks dtype, shape or data_offsets");
  if (!dtype->is_string() || !shape->is_array()) fail(place, "dtype must be a string and shape a list");
  if (!offsets->is_array() || offsets->as_array(place).size() != 2)
    fail(place, "data_offsets must be a list of two numbers");
  SafetensorsEntry entry;
  entry.name = name;
  const std::string& type_name = dtype->as_string(place);
  const std::optional<DType> type = dtype_named(type_name);
  if (!type) {
    throw Error(ErrorCode::kModelFile, "unsupported tensor type", place,
                "dtype " + printable(type_name) + " is not supported",
                "supported are F64, F32, F16, BF16, I64, I32, I8 and U8; convert the tensor first");
  }
  entry.dtype = *type;
  for (const Json& dim : shape->as_array(place)) {
    entry.shape.push_back(static_cast<int64_t>(unsigned_number(dim, place, "shape")));
  }
  entry.begin = unsigned_number(offsets->as_array(place)[0], place, "data_offsets");
  entry.end = unsigned_number(offsets->as_array(place)[1], place, "data_offsets");
  const std::string range = "data_offsets [" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
  if (entry.begin > entry.end) fail(place, range + " end before they begin");
  if (entry.end > data_bytes) {
    fail(place, range + " reach past the " + std::to_string(data_bytes) + " bytes of data in the file",
         "the file is truncated; fetch it again");
  }
  uint64_t bytes = 0;
  try {
    bytes = storage_bytes(entry.dtype, entry.shape);
  } catch (const Error& e) {
    throw e.within(place);
  }
  if (bytes != entry.end - entry.begin) {
    fail(place, "shape " + shape_text(entry.shape) + " of " + type_name + " needs " + std::to_string(bytes) +
                    " bytes, but " + range + " hold " + std::to_string(entry.end - entry.begin));
  }
  return entry;
}

void check_tiling(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes, const std::string& where) {
  uint64_t at = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const SafetensorsEntry& entry = entries[i];
    if (entry.begin != at) {
      const std::string place = tensor_place(where, entry.name);
      const std::string numbers = "it begins at data offset " + std::to_string(entry.begin) + ", where " +
                                  (i ? "\"" + printable(entries[i - 1].name) + "\" ends at " : "the data begins at ") +
                                  std::to_string(at);
      fail(place, numbers + (entry.begin < at ? ": they overlap" : ": there is a hole between them"));
    }
    at = entry.end;
  }
  if (at != data_bytes) {
    fail(where, "the tensors end at data offset " + std::to_string(at) + ", but the file has " +
                    std::to_string(data_bytes) + " bytes of data");
  }
}

}  // namespace

SafetensorsLayout parse_safetensors(std::string_view file, const std::string& where) {
  uint64_t data_begin = 0;
  const std::string_view text = header_text(file, where, data_begin);
  const uint64_t data_bytes = file.size() - data_begin;
  const std::string header_place = where + ": header";
  const Json header = Json::parse(text, header_place, true);
  SafetensorsLayout layout;
  for (const auto& [name, value] : header.as_object(header_place)) {
    if (name == "__metadata__") {
      layout.metadata = read_metadata(value, where);
    } else {
      layout.entries.push_back(read_entry(name, value, data_bytes, where));
    }
  }
  std::sort(layout.entries.begin(), layout.entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_tiling(layout.entries, data_bytes, where);
  for (SafetensorsEntry& entry : layout.entries) {
    entry.begin += data_begin;
    entry.end += data_begin;
  }
  return layout;
}

std::map<std::string, Tensor> read_safetensors(const std::string& path, StringMap* metadata) {
  const std::shared_ptr<MappedFile> file = MappedFile::open(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  SafetensorsLayout layout = parse_safetensors(bytes, path);
  std::map<std::string, Tensor> tensors;
  for (SafetensorsEntry& entry : layout.entries) {
    const auto element = static_cast<uintptr_t>(bits_of(entry.dtype) / 8);
    Tensor tensor;
    if (reinterpret_cast<uintptr_t>(bytes.data() + entry.begin) % element == 0) {
      tensor = Tensor::mapped(entry.dtype, std::move(entry.shape), file, entry.begin);
    } else {
      tensor = Tensor(entry.dtype, std::move(entry.shape));
      if (tensor.bytes() > 0) std::memcpy(tensor.data(), bytes.data() + entry.begin, tensor.bytes());
    }
    tensors.emplace(std::move(entry.name), std::move(tensor));
  }
  if (metadata) *metadata = std::move(layout.metadata);
  return tensors;
}

}  // namespace quamba2
