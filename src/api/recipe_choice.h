// SPDX-License-Identifier: Apache-2.0
// From options by name to a recipe.
#pragma once

#include "quamba2/quantize.h"
#include "quant/recipe.h"

namespace quamba2 {

// Throws Error{kUsage} for unknown recipes, presets and ingredients, groups out of range, and layer lists that do not fit.
Recipe choose_recipe(const QuantizeOptions& options, const ModelData& model);

}  // namespace quamba2
