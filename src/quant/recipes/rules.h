// SPDX-License-Identifier: Apache-2.0
// What the recipes store how: the tables of method.md 2.8 (the paper's preset) and of section 3 (the default).
#pragma once

#include <functional>

#include "quant/passes/passes.h"
#include "quant/recipe.h"

namespace quamba2 {

// Bits of a layer's linear weights and whether its activations, conv, scan inputs and state are INT8.
struct Widths {
  int weights = 4;
  bool a8 = false;
};

// `widths` of every layer; -1 asks for the head's and the embedding's. `tied`: they share one table.
FormatRules format_rules(const RecipeOptions& options, bool tied, std::function<Widths(int64_t layer)> widths);

// The passes of all recipes, which differ in their rules only.
Recipe make_recipe(const char* name, const RecipeOptions& options, FormatRules rules, bool a8);

}  // namespace quamba2
