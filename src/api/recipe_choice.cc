// SPDX-License-Identifier: Apache-2.0
#include "api/recipe_choice.h"

#include "quamba2/error.h"

namespace quamba2 {
namespace {

Ingredients ingredients_of(const QuantizeOptions& options, const RecipeEntry& recipe) {
  Ingredients out = kAllIngredients;
  if (options.preset == "paper") {
    out = recipe.paper;
  } else if (options.preset == "plain") {
    out = {};
  } else if (options.preset != "default") {
    throw Error(ErrorCode::kUsage, "unknown preset " + options.preset, "", "there is none of this name",
                "the presets are default, paper and plain");
  }
  for (const std::string& name : options.with) out.*find_ingredient(name).member = true;
  for (const std::string& name : options.without) out.*find_ingredient(name).member = false;
  return out;
}

}  // namespace

Recipe choose_recipe(const QuantizeOptions& options, const ModelData& model) {
  if (options.group != 0 && (options.group < 16 || options.group > 4096)) {
    throw Error(ErrorCode::kUsage, "group out of range", std::to_string(options.group), "16 to 4,096 is possible");
  }
  const RecipeEntry& entry = find_recipe(options.recipe);
  if (!options.layers.empty() && options.recipe != "w4ax") {
    throw Error(ErrorCode::kUsage, "a layer list for recipe " + options.recipe, "", "only w4ax takes one",
                "use recipe w4ax, or leave the list out");
  }
  RecipeOptions out;
  out.ingredients = ingredients_of(options, entry);
  out.table_bits = options.table_bits;
  out.group = options.group;
  out.layers = options.layers;
  return entry.make(out, model);
}

}  // namespace quamba2
