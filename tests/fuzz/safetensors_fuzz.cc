// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: parsed, or refused with an Error. What is accepted must tile the data part.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "io/safetensors.h"
#include "quamba2/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto layout = quamba2::parse_safetensors({reinterpret_cast<const char*>(data), size}, "fuzz");
    uint64_t at = layout.entries.empty() ? size : layout.entries.front().begin;
    for (const auto& entry : layout.entries) {
      const bool right =
          entry.begin == at && entry.end - entry.begin == quamba2::storage_bytes(entry.dtype, entry.shape);
      if (!right) __builtin_trap();
      at = entry.end;
    }
    if (at != size) __builtin_trap();
  } catch (const quamba2::Error& e) {
    if (e.code() != quamba2::ErrorCode::kModelFile) __builtin_trap();
  }
  return 0;
}
