// SPDX-License-Identifier: Apache-2.0
// W4AX: every layer is w4a8 or w4a16 (arXiv 2503.22879, section 4.4), as a list says; the head is w4a8.
#include "quamba2/error.h"
#include "quant/recipes/recipes.h"
#include "quant/recipes/rules.h"

namespace quamba2 {

Recipe make_w4ax(const RecipeOptions& options, const ModelData& model) {
  if (static_cast<int64_t>(options.layers.size()) != model.n_layer) {
    throw Error(ErrorCode::kUsage, "wrong number of layers in the list", "w4ax",
                "it has " + std::to_string(options.layers.size()) + " entries, the model has " +
                    std::to_string(model.n_layer) + " layers",
                "give a JSON list of \"w4a8\" or \"w4a16\" for every layer, or search one");
  }
  for (size_t i = 0; i < options.layers.size(); ++i) {
    if (options.layers[i] == "w4a8" || options.layers[i] == "w4a16") continue;
    throw Error(ErrorCode::kUsage, "unknown recipe for a layer", "entry " + std::to_string(i),
                "\"" + options.layers[i] + "\"", "known are w4a8 and w4a16");
  }
  const auto widths = [layers = options.layers](int64_t layer) {
    return Widths{4, layer < 0 || layers[static_cast<size_t>(layer)] == "w4a8"};
  };
  return make_recipe("w4ax", options, format_rules(options, model.tied, widths), true);
}

}  // namespace quamba2
