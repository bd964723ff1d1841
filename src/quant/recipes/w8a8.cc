// SPDX-License-Identifier: Apache-2.0
// W8A8: weights, activations, conv, scan inputs and states in INT8.
#include "quant/recipes/recipes.h"
#include "quant/recipes/rules.h"

namespace quamba2 {

Recipe make_w8a8(const RecipeOptions& options, const ModelData& model) {
  const auto widths = [](int64_t) { return Widths{8, true}; };
  return make_recipe("w8a8", options, format_rules(options, model.tied, widths), true);
}

}  // namespace quamba2
