// SPDX-License-Identifier: Apache-2.0
#include "quant/recipes/ingredients.h"

#include "quamba2/error.h"

namespace quamba2 {

const std::vector<IngredientEntry>& ingredient_index() {
  using I = Ingredients;
  static const std::vector<IngredientEntry> index = {
      {"rotate-residual", "offline Hadamard of the residual stream", &I::rotate_residual},
      {"rotate-inner", "online Hadamard in front of out_proj", &I::rotate_inner},
      {"gptq", "4- and 6-bit weights rounded by their inputs", &I::gptq},
      {"group-bc", "B and C: a scale an SSD group", &I::group_bc},
      {"cluster", "x: a scale a cluster of heads and channels (Mamba2), or clipped at a percentile (Mamba1)",
       &I::cluster},
      {"shared-table", "one table for embedding and head of tied models, in 6 bits", &I::shared_table},
      {"refine", "weights refined behind GPTQ: act-order, least-squares scales, coordinate descent", &I::refine},
      {"fine-scales", "activations: a scale a token where a whole row is written, a channel elsewhere",
       &I::fine_scales},
      {"dynamic-state", "INT8 states: a scale a channel and 32 of N, computed whenever they are stored",
       &I::dynamic_state},
      {"f16-state", "states in F16 between steps; INT8 without, where activations are", &I::f16_state},
  };
  return index;
}

const IngredientEntry& find_ingredient(const std::string& name) {
  std::string known;
  for (const IngredientEntry& entry : ingredient_index()) {
    if (name == entry.name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error(ErrorCode::kUsage, "unknown ingredient " + name, "", "there is none of this name",
              "the ingredients are " + known);
}

}  // namespace quamba2
