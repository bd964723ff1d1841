// SPDX-License-Identifier: Apache-2.0
// Round-to-nearest encoding of weights (docs/formats.md).
#pragma once

#include <vector>

#include "backend/kernel.h"
#include "graph/weight.h"

namespace quamba2 {

// How the scale of a row or group is chosen.
enum class ScaleChoice {
  kLargest,      // from the largest magnitude: 2 max|w| / (2^b - 1), for INT8 max|w| / 127
  kLeastSquares  // of scales below that one, the one that leaves the least squared error
};

// `values` [N, K] in an integer format with scales a row or a group. Scales are rounded to their own type before codes
// are chosen.
Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                     const Format& format, ScaleChoice choice, const Stream& stream);

}  // namespace quamba2
