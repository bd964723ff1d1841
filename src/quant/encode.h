// SPDX-License-Identifier: Apache-2.0
// Encoding of weights (docs/formats.md): scales, plain rounding, and storing codes.
#pragma once

#include <string>
#include <vector>

#include "backend/kernel.h"
#include "graph/weight.h"
#include "quant/code_book.h"

namespace quamba2 {

// How the scale of a row or group is chosen.
enum class ScaleChoice {
  kLargest,      // from the largest magnitude: 2 max|w| / (2^b - 1), for INT8 max|w| / 127
  kLeastSquares  // of scales below that one, the one that leaves the least squared error
};

// Columns that share a scale: the format's group, or all of a row.
int64_t group_size(const Format& format, int64_t columns);

// One a group for a row `w` of `columns` weights, rounded to their type.
std::vector<float> choose_scales(const float* w, int64_t columns, const Format& format, ScaleChoice choice);

// A weight [N, K] of this format with room for codes and scales.
Weight empty_weight(const std::string& name, const std::vector<int64_t>& shape, const Format& format);
// `codes` [K] are signed, offset removed.
void store_row(Weight* weight, int64_t row, const float* codes, const RowScales& scales);

// `values` [N, K] rounded to nearest in an integer format with scales a row or a group, or of two levels.
Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                     const Format& format, ScaleChoice choice, const Stream& stream);

}  // namespace quamba2
