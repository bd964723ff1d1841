// SPDX-License-Identifier: Apache-2.0
// W4AX: every layer is w4a8 or w4a16 (arXiv 2503.22879, section 4.4), or, ours, w8a8 where bytes are better spent, as a
// list says; the head is w4a8.
#include "quamba2/error.h"
#include "quant/recipes/recipes.h"
#include "quant/recipes/rules.h"

namespace quamba2 {
namespace {

struct LayerChoice {
  const char* name;
  Widths widths;
};
constexpr LayerChoice kChoices[] = {{"w4a8", {4, true}}, {"w4a16", {4, false}}, {"w8a8", {8, true}}};

Widths widths_of(const std::string& name, size_t layer) {
  for (const LayerChoice& choice : kChoices) {
    if (name == choice.name) return choice.widths;
  }
  throw Error(ErrorCode::kUsage, "unknown recipe for a layer", "entry " + std::to_string(layer), "\"" + name + "\"",
              "known are w4a8, w4a16 and w8a8");
}

}  // namespace

Recipe make_w4ax(const RecipeOptions& options, const ModelData& model) {
  if (static_cast<int64_t>(options.layers.size()) != model.n_layer) {
    throw Error(ErrorCode::kUsage, "wrong number of layers in the list", "w4ax",
                "it has " + std::to_string(options.layers.size()) + " entries, the model has " +
                    std::to_string(model.n_layer) + " layers",
                "give --layers a JSON list of w4a8, w4a16 or w8a8 for every layer; 'quamba2 search' finds one");
  }
  std::vector<Widths> widths;
  for (size_t i = 0; i < options.layers.size(); ++i) widths.push_back(widths_of(options.layers[i], i));
  const auto of_layer = [widths](int64_t layer) {
    return layer < 0 ? Widths{4, true} : widths[static_cast<size_t>(layer)];
  };
  return make_recipe("w4ax", options, format_rules(options, model.tied, of_layer), true);
}

}  // namespace quamba2
