// SPDX-License-Identifier: Apache-2.0
// Formats that recipes are written in.
#pragma once

#include <optional>

#include "tensor/view.h"

namespace quamba2 {

inline Format integer_format(DType storage, Grain grain, int group = 0, DType scale = DType::kF32) {
  Format f;
  f.storage = storage;
  f.levels = 1;
  f.level[0] = {grain, static_cast<int16_t>(group), scale};
  return f;
}
inline Format dynamic_format(Grain grain) {
  Format f = integer_format(DType::kI8, grain);
  f.dynamic = true;
  return f;
}

inline Format i8_row() { return integer_format(DType::kI8, Grain::kRow); }
inline Format i4_group(int group) { return integer_format(DType::kI4, Grain::kGroup, group, DType::kF16); }
inline Format i6_group(int group) { return integer_format(DType::kI6, Grain::kGroup, group, DType::kF16); }
// Groups under a row, so that the decoded weight is an INT8 times the row's scale: the weights of w4a8.
inline Format i4_two_levels(int group) {
  Format f = i4_group(group);
  f.levels = 2;
  f.level[1] = {Grain::kRow, 0, DType::kF32};
  return f;
}

inline Format i8_tensor() { return integer_format(DType::kI8, Grain::kTensor); }
inline Format i8_column() { return integer_format(DType::kI8, Grain::kColumn); }
inline Format i8_dynamic_row() { return dynamic_format(Grain::kRow); }
inline Format i8_dynamic_state() { return dynamic_format(Grain::kColumn); }

inline Format f16() {
  Format f;
  f.storage = DType::kF16;
  return f;
}

}  // namespace quamba2
