// SPDX-License-Identifier: Apache-2.0
#include "tensor/operand.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/convert.h"
#include "tensor/packing.h"

namespace quamba2 {
namespace {

template <class T>
T load(const void* row, int64_t index) {
  T v;
  std::memcpy(&v, static_cast<const char*>(row) + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return v;
}

template <class T>
void store(void* row, int64_t index, T v) {
  std::memcpy(static_cast<char*>(row) + static_cast<size_t>(index) * sizeof(T), &v, sizeof(T));
}

}  // namespace

double load_element(const void* row, DType dtype, int64_t index) {
  switch (dtype) {
    case DType::kF64: return load<double>(row, index);
    case DType::kF32: return load<float>(row, index);
    case DType::kF16: return f16_to_f32(load<uint16_t>(row, index));
    case DType::kBF16: return bf16_to_f32(load<uint16_t>(row, index));
    case DType::kI64: return static_cast<double>(load<int64_t>(row, index));
    case DType::kI32: return load<int32_t>(row, index);
    case DType::kI8: return load<int8_t>(row, index);
    case DType::kU8: return load<uint8_t>(row, index);
    case DType::kI6: return static_cast<int>(unpack_code(static_cast<const uint8_t*>(row), index, 6)) - 32;
    case DType::kI4: return static_cast<int>(unpack_code(static_cast<const uint8_t*>(row), index, 4)) - 8;
  }
  return 0;
}

void store_element(void* row, DType dtype, int64_t index, double value) {
  switch (dtype) {
    case DType::kF64: return store(row, index, value);
    case DType::kF32: return store(row, index, static_cast<float>(value));
    case DType::kF16: return store(row, index, f32_to_f16(static_cast<float>(value)));
    case DType::kBF16: return store(row, index, f32_to_bf16(static_cast<float>(value)));
    case DType::kI64: return store(row, index, static_cast<int64_t>(value));
    case DType::kI32: return store(row, index, static_cast<int32_t>(value));
    case DType::kI8: return store(row, index, static_cast<int8_t>(value));
    case DType::kU8: return store(row, index, static_cast<uint8_t>(value));
    case DType::kI6:
      return pack_code(static_cast<uint8_t*>(row), index, 6, static_cast<uint32_t>(static_cast<int>(value) + 32));
    case DType::kI4:
      return pack_code(static_cast<uint8_t*>(row), index, 4, static_cast<uint32_t>(static_cast<int>(value) + 8));
  }
}

int64_t row_count(const TensorView& view) {
  int64_t n = 1;
  for (int i = 0; i + 1 < view.rank; ++i) n *= view.dim[i];
  return n;
}

int64_t row_length(const TensorView& view) { return view.rank == 0 ? 1 : view.dim[view.rank - 1]; }

void* row_address(const TensorView& view, int64_t row) {
  int64_t offset = 0;
  const int bits = bits_of(view.dtype);
  if (bits == 6) {
    return static_cast<char*>(view.data) + row * packed_row_bytes(row_length(view), bits);
  }
  for (int i = view.rank - 2; i >= 0; --i) {
    offset += (row % view.dim[i]) * view.stride[i];
    row /= view.dim[i];
  }
  return static_cast<char*>(view.data) + offset * bits / 8;
}

int64_t scale_row(const Operand& operand, int64_t row) {
  const TensorView &v = operand.values, &s = operand.scales[0];
  if (s.rank <= 1 || v.rank < 3) return 0;
  const int64_t states = v.dim[v.rank - 2], block = row / states;  // a slot, or a head of one
  if (operand.format.dynamic) return block * state_blocks(states) + row % states / kStateBlock;
  const int64_t head = v.rank == 4 ? block % v.dim[1] : 0;
  return s.rank == v.rank - 1 ? head * states + row % states : head;
}

double scale_of(const Operand& operand, int64_t row, int64_t column) {
  if (operand.format.levels == 0) return 1.0;
  const auto level_scale = [&](int level) {
    const ScaleLevel& l = operand.format.level[level];
    const TensorView& s = operand.scales[level];
    QUAMBA2_CHECK(s.data != nullptr, "an integer operand has no scales");
    switch (l.grain) {
      case Grain::kTensor: return load_element(s.data, s.dtype, 0);
      case Grain::kRow: return load_element(s.data, s.dtype, row);
      case Grain::kGroup: return load_element(row_address(s, row), s.dtype, column / l.group);
      case Grain::kColumn: {
        return load_element(row_address(s, scale_row(operand, row)), s.dtype, column);
      }
    }
    return 1.0;
  };
  if (operand.format.levels == 1) return level_scale(0);
  return level_scale(1);  // the code of a two-level operand decodes in units of its outer scale
}

double decode_element(const Operand& operand, int64_t row, int64_t column) {
  const double code = load_element(row_address(operand.values, row), operand.values.dtype, column);
  if (operand.format.levels < 2) return code * scale_of(operand, row, column);
  const ScaleLevel& l = operand.format.level[0];
  const double group = load_element(row_address(operand.scales[0], row), operand.scales[0].dtype, column / l.group);
  const double outer = scale_of(operand, row, column);
  if (outer == 0) return 0;
  // method.md 2.7: w8 = rint((code - 8) * s_g / s_c) in IEEE f32, ties to even.
  const float w8 = std::nearbyintf(static_cast<float>(code) * static_cast<float>(group) / static_cast<float>(outer));
  return static_cast<double>(w8) * outer;
}

void encode_element(const Operand& operand, int64_t row, int64_t column, double value) {
  const DType dtype = operand.values.dtype;
  void* address = row_address(operand.values, row);
  if (operand.format.levels == 0) return store_element(address, dtype, column, value);
  QUAMBA2_CHECK(operand.format.levels == 1, "two-level operands are encoded by the quantizer");
  const double scale = scale_of(operand, row, column);
  double code = scale == 0 || std::isnan(value) ? 0 : std::nearbyint(value / scale);
  code = std::clamp<double>(code, min_code(dtype), max_code(dtype));
  store_element(address, dtype, column, code);
}

void encode_row(const Operand& operand, int64_t row, const double* values) {
  const int64_t columns = row_length(operand.values);
  if (operand.format.dynamic) {
    QUAMBA2_CHECK(is_dynamic_row(operand.format), "only rows have scales that are computed with them");
    double largest = 0;
    for (int64_t c = 0; c < columns; ++c) largest = std::fmax(largest, std::fabs(values[c]));
    store_element(operand.scales[0].data, operand.scales[0].dtype, row, largest / max_code(operand.format.storage));
  }
  for (int64_t c = 0; c < columns; ++c) encode_element(operand, row, c, values[c]);
}

namespace {

// Column `column` of `rows` rows from `first`, block by block: its scale, then its codes, each with what rounding has left
// of the number before it. *carry is that, as a value.
void encode_block(const Operand& operand, int64_t first, int64_t rows, int64_t column, const double* values,
                  double* carry) {
  const int64_t columns = row_length(operand.values);
  const DType dtype = operand.format.storage;
  double largest = 0;
  for (int64_t r = 0; r < rows; ++r) largest = std::fmax(largest, std::fabs(values[r * columns + column]));
  store_element(row_address(operand.scales[0], scale_row(operand, first)), DType::kF32, column,
                largest / max_code(dtype));
  const double scale = scale_of(operand, first, column);
  double left = scale == 0 ? 0 : std::clamp(*carry / scale, -0.5, 0.5);
  for (int64_t r = 0; r < rows; ++r) {
    const double value = values[r * columns + column];
    const double goal = scale == 0 || std::isnan(value) ? 0 : value / scale + left;
    const double code = std::clamp<double>(std::nearbyint(goal), min_code(dtype), max_code(dtype));
    store_element(row_address(operand.values, first + r), dtype, column, code);
    left = goal - code;
  }
  *carry = left * scale;
}

}  // namespace

void encode_state(const Operand& operand, int64_t first, int64_t rows, const double* values) {
  const int64_t columns = row_length(operand.values);
  if (operand.format.dynamic) {
    QUAMBA2_CHECK(is_dynamic_state(operand.format), "only channels of states have scales that are computed with them");
    for (int64_t c = 0; c < columns; ++c) {
      double carry = 0;
      for (int64_t r = 0; r < rows; r += kStateBlock) {
        encode_block(operand, first + r, std::min<int64_t>(kStateBlock, rows - r), c, values + r * columns, &carry);
      }
    }
    return;
  }
  for (int64_t i = 0; i < rows * columns; ++i) encode_element(operand, first + i / columns, i % columns, values[i]);
}

std::vector<double> decode(const Operand& operand) {
  const int64_t rows = row_count(operand.values), columns = row_length(operand.values);
  std::vector<double> out(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[static_cast<size_t>(r * columns + c)] = decode_element(operand, r, c);
  }
  return out;
}

void encode(const std::vector<double>& values, const Operand& operand) {
  const int64_t rows = row_count(operand.values), columns = row_length(operand.values);
  QUAMBA2_CHECK(static_cast<int64_t>(values.size()) == rows * columns, "encode: sizes differ");
  if (is_dynamic_state(operand.format)) {
    const int64_t block = operand.values.dim[operand.values.rank - 2];
    for (int64_t r = 0; r < rows; r += block) encode_state(operand, r, block, values.data() + r * columns);
    return;
  }
  for (int64_t r = 0; r < rows; ++r) encode_row(operand, r, values.data() + r * columns);
}

std::string format_text(const Format& format) {
  std::string out = name_of(format.storage);
  for (int i = 0; i < format.levels; ++i) {
    const ScaleLevel& l = format.level[i];
    switch (l.grain) {
      case Grain::kTensor: out += " tensor"; break;
      case Grain::kRow: out += " row"; break;
      case Grain::kGroup: out += " group " + std::to_string(l.group); break;
      case Grain::kColumn: out += " column"; break;
    }
  }
  return out + (format.dynamic ? " dynamic" : "");
}

}  // namespace quamba2
