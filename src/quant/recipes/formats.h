// SPDX-License-Identifier: Apache-2.0
// Formats that recipes are written in.
#pragma once

#include <optional>

#include "tensor/view.h"

namespace quamba2 {

inline Format integer_format(DType storage, Grain grain, int16_t group = 0, DType scale = DType::kF32) {
  Format f;
  f.storage = storage;
  f.levels = 1;
  f.level[0] = {grain, group, scale};
  return f;
}

inline Format i8_row() { return integer_format(DType::kI8, Grain::kRow); }
inline Format i4_group128() { return integer_format(DType::kI4, Grain::kGroup, 128, DType::kF16); }
inline Format i6_group128() { return integer_format(DType::kI6, Grain::kGroup, 128, DType::kF16); }
inline Format i8_tensor() { return integer_format(DType::kI8, Grain::kTensor); }
inline Format i8_column() { return integer_format(DType::kI8, Grain::kColumn); }

inline Format f16() {
  Format f;
  f.storage = DType::kF16;
  return f;
}

// For embedding and head; empty for 16 bits: they stay as they are. Throws Error{kUsage} for other widths.
std::optional<Format> table_format(int bits);

}  // namespace quamba2
