// SPDX-License-Identifier: Apache-2.0
// One function a recipe; index.cc lists them.
#pragma once

#include "quant/recipe.h"

namespace quamba2 {

Recipe make_w8a8(const RecipeOptions& options, const ModelData& model);
Recipe make_w4a8(const RecipeOptions& options, const ModelData& model);
Recipe make_w4a16(const RecipeOptions& options, const ModelData& model);
Recipe make_w4ax(const RecipeOptions& options, const ModelData& model);

}  // namespace quamba2
