// SPDX-License-Identifier: Apache-2.0
// What tells a model from others.
#pragma once

#include <string>

#include "graph/model.h"

namespace quamba2 {

// 16 hexadecimal digits of the configuration, the recipe, the formats of edges and states with their scales, and every
// weight's name, shape, format and a sample of its bytes: models that were trained further differ in their bytes alone.
std::string fingerprint_of(const ModelData& model);

}  // namespace quamba2
