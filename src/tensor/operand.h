// SPDX-License-Identifier: Apache-2.0
// The meaning of stored numbers: element-wise decoding and encoding of operands in double precision. References and
// the quantizer use these; kernels have their own, tested against them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/view.h"

namespace quamba2 {

// Reads or writes one element of any float or integer storage as a double; integers are codes without their scale,
// offset removed (kI4: -8..7). `row` is a pointer to the start of the row for sub-byte storage.
double load_element(const void* row, DType dtype, int64_t index);
void store_element(void* row, DType dtype, int64_t index, double value);

// The address of row `r` (all dimensions but the innermost, flattened) of a view.
void* row_address(const TensorView& view, int64_t row);
int64_t row_count(const TensorView& view);   // product of all dimensions but the innermost
int64_t row_length(const TensorView& view);  // the innermost dimension

// The row of scales [..., columns], all dimensions but the innermost flattened, of a row with a scale a column.
int64_t scale_row(const Operand& operand, int64_t row);

// The scale of element (row, column); 1 for floats. Two levels multiply as method.md 2.7 says:
// decoded value = rint(code * s_g / s_c) * s_c; see decode_element.
double scale_of(const Operand& operand, int64_t row, int64_t column);
double decode_element(const Operand& operand, int64_t row, int64_t column);
// Rounds to the nearest code under the scale that is stored, ties to even, saturating; a zero scale gives code 0.
void encode_element(const Operand& operand, int64_t row, int64_t column, double value);

// A row of values. Dynamic operands with a scale a row get theirs first: max|v| / 127, rounded to f32.
void encode_row(const Operand& operand, int64_t row, const double* values);

// Rows [first, first + rows) of a state, [rows, columns]: the N rows of one slot, or of one head in it. Dynamic scales are
// those of these values: max over a block of rows / 127. With them each number takes over what rounding has left of the one
// before it in its column, so that no small update is lost for good (docs/numerics.md, "States of 8 bits").
void encode_state(const Operand& operand, int64_t first, int64_t rows, const double* values);

// Whole operands as rows x columns of doubles.
std::vector<double> decode(const Operand& operand);
void encode(const std::vector<double>& values, const Operand& operand);

// "i4 group 128 (f16)", "f32": for explain and inspect.
std::string format_text(const Format& format);

constexpr int min_code(DType dtype) { return dtype == DType::kI8 ? -128 : dtype == DType::kI6 ? -32 : -8; }
constexpr int max_code(DType dtype) { return dtype == DType::kI8 ? 127 : dtype == DType::kI6 ? 31 : 7; }

}  // namespace quamba2
