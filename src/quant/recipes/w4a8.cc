// SPDX-License-Identifier: Apache-2.0
// W4A8: weights INT4 in two levels of scales, so that kernels multiply INT8 by INT8; all else as in w8a8.
#include "quant/recipes/recipes.h"
#include "quant/recipes/rules.h"

namespace quamba2 {

Recipe make_w4a8(const RecipeOptions& options, const ModelData& model) {
  const auto widths = [](int64_t) { return Widths{4, true}; };
  return make_recipe("w4a8", options, format_rules(options, model.tied, widths), true);
}

}  // namespace quamba2
