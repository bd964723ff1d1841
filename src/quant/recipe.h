// SPDX-License-Identifier: Apache-2.0
// A recipe is a list of passes. A new one is a file in recipes/ and a line in recipes/index.cc.
#pragma once

#include <string>
#include <vector>

#include "quant/pass.h"
#include "quant/recipes/ingredients.h"

namespace quamba2 {

struct RecipeOptions {
  Ingredients ingredients = kAllIngredients;
  int table_bits = 0;               // 4, 6 or 8 for embedding and head, 16 to leave them; 0: the recipe's own choice
  int group = 0;                    // columns a scale of 4-bit weights; 0: the recipe's own choice
  std::vector<std::string> layers;  // w4ax: w4a8, w4a16 or w8a8 for every layer
};

struct Recipe {
  std::string name;
  std::vector<Pass> passes;

  Recipe&& then(Pass pass) && {
    passes.push_back(std::move(pass));
    return std::move(*this);
  }
};

struct RecipeEntry {
  const char* name;
  const char* summary;
  Ingredients paper;  // of the paper's preset; the default has all
  Recipe (*make)(const RecipeOptions& options, const ModelData& model);
};

const std::vector<RecipeEntry>& recipe_index();
// Throws Error{kUsage} with the list of known ones.
const RecipeEntry& find_recipe(const std::string& name);

}  // namespace quamba2
