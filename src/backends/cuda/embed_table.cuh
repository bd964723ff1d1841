// SPDX-License-Identifier: Apache-2.0
// A table of embeddings on the device, and one number of it.
#pragma once

#include "backends/cuda/device/numbers.cuh"

namespace quamba2::cuda {

// A weight matrix in the canonical packing (tensor/packing.h).
struct Table {
  const char* data;
  const void* scales[2];
  int64_t row_bytes;
  int32_t groups[2];  // scales a row: 0 for one of the tensor
  int32_t group[2];   // columns that share one
  DType dtype, scale_dtype[2];
  uint8_t levels;
};

inline Table table_of(const Operand& w) {
  Table t = {};
  t.data = static_cast<const char*>(w.values.data);
  t.dtype = w.values.dtype;
  t.levels = w.format.levels;
  const int32_t columns = w.values.dim[1];
  // Rows of 6 bits are padded to words, whatever the stride in elements says.
  t.row_bytes = t.dtype == DType::kI6 ? (static_cast<int64_t>(columns) * 6 + 31) / 32 * 4
                                      : static_cast<int64_t>(w.values.stride[0]) * bits_of(t.dtype) / 8;
  for (int i = 0; i < t.levels; ++i) {
    const ScaleLevel& level = w.format.level[i];
    t.scales[i] = w.scales[i].data;
    t.scale_dtype[i] = level.dtype;
    t.group[i] = level.grain == Grain::kGroup ? level.group : columns;
    t.groups[i] = level.grain == Grain::kTensor ? 0 : (columns + t.group[i] - 1) / t.group[i];
  }
  return t;
}

__device__ __forceinline__ float code_at(const Table& t, const char* row, int32_t column) {
  switch (t.dtype) {
    case DType::kI8: return static_cast<float>(reinterpret_cast<const int8_t*>(row)[column]);
    case DType::kI4: return static_cast<float>(static_cast<int>(row[column / 2] >> (column % 2 * 4) & 15) - 8);
    case DType::kI6: {
      const int64_t bit = static_cast<int64_t>(column) * 6;
      const auto* bytes = reinterpret_cast<const uint8_t*>(row) + (bit >> 3);
      const int shift = static_cast<int>(bit & 7);
      uint32_t v = bytes[0];
      if (shift > 2) v |= static_cast<uint32_t>(bytes[1]) << 8;
      return static_cast<float>(static_cast<int>(v >> shift & 63) - 32);
    }
    default: return load_float(row, t.dtype, column);
  }
}

// Level by level as tensor/operand.h says: with two, codes become codes of 8 bits first.
__device__ __forceinline__ float decode(const Table& t, const char* data, int64_t row, int32_t column) {
  const float code = code_at(t, data, column);
  if (t.levels == 0) return code;
  const float inner = load_float(t.scales[0], t.scale_dtype[0], row * t.groups[0] + column / t.group[0]);
  if (t.levels == 1) return code * inner;
  const float outer = load_float(t.scales[1], t.scale_dtype[1], row * t.groups[1] + column / t.group[1]);
  return outer == 0.0f ? 0.0f : rintf(__fdiv_rn(code * inner, outer)) * outer;
}
__device__ __forceinline__ float table_number(const Table& t, int64_t row, int32_t column) {
  return decode(t, t.data + row * t.row_bytes, row, column);
}

}  // namespace quamba2::cuda
