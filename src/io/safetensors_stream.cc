// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_stream.h"

#include "base/check.h"
#include "base/json.h"

namespace quamba2 {
namespace {

std::string stored_name(DType dtype) {
  QUAMBA2_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "streams hold F32 and BF16");
  return dtype == DType::kF32 ? "F32" : "BF16";
}

std::string header_of(const std::vector<SafetensorsEntry>& entries) {
  std::string text = "{\"__metadata__\":{\"format\":\"pt\"}";
  for (const SafetensorsEntry& e : entries) {
    text += "," + Json(e.name).dump(-1) + ":{\"dtype\":\"" + stored_name(e.dtype) +
            "\",\"shape\":" + shape_text(e.shape) + ",\"data_offsets\":[" + std::to_string(e.begin) + "," +
            std::to_string(e.end) + "]}";
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

SafetensorsStream::SafetensorsStream(const std::string& path, std::vector<SafetensorsEntry> entries)
    : entries_(std::move(entries)), file_(path) {
  uint64_t at = 0;
  for (SafetensorsEntry& e : entries_) {
    e.begin = at;
    at += storage_bytes(e.dtype, e.shape);
    e.end = at;
  }
  const std::string header = header_of(entries_);
  unsigned char length[8];
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(header.size() >> (8 * i));
  file_.write(length, sizeof length);
  file_.write(header);
}

void SafetensorsStream::write(const void* data, size_t size) {
  file_.write(data, size);
  written_ += size;
}

void SafetensorsStream::commit() {
  QUAMBA2_CHECK(written_ == bytes(), "a safetensors stream has the wrong number of bytes");
  file_.commit();
}

}  // namespace quamba2
