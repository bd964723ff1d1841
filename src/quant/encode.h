// SPDX-License-Identifier: Apache-2.0
// Round-to-nearest encoding of weights (method.md 2.1).
#pragma once

#include <vector>

#include "graph/weight.h"

namespace quamba2 {

// `values` [N, K] in an integer format with scales a row or a group. Scales are rounded to their own type before codes
// are chosen.
Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values, const Format& format);

}  // namespace quamba2
