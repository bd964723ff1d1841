// SPDX-License-Identifier: Apache-2.0
// W4A16: weights INT4 in groups, everything else in float; the state in half precision between steps.
#include "quant/recipes/recipes.h"
#include "quant/recipes/rules.h"

namespace quamba2 {

Recipe make_w4a16(const RecipeOptions& options, const ModelData& model) {
  const auto widths = [](int64_t) { return Widths{4, false}; };
  return make_recipe("w4a16", options, format_rules(options, model.tied, widths), false);
}

}  // namespace quamba2
