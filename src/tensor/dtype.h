// SPDX-License-Identifier: Apache-2.0
// Storage types. This header is included by device and ISA code: it must stay free of other includes.
#pragma once

#include <cstdint>

namespace quamba2 {

enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI8, kI6, kI4, kU8 };

// Bits of one element. kI4 and kI6 are packed (tensor/packing.h).
constexpr int bits_of(DType type) {
  switch (type) {
    case DType::kF64:
    case DType::kI64: return 64;
    case DType::kF32:
    case DType::kI32: return 32;
    case DType::kF16:
    case DType::kBF16: return 16;
    case DType::kI8:
    case DType::kU8: return 8;
    case DType::kI6: return 6;
    case DType::kI4: return 4;
  }
  return 0;
}

constexpr bool is_float(DType type) { return type <= DType::kBF16; }

const char* name_of(DType type);  // "f32"

}  // namespace quamba2
