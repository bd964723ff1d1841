// SPDX-License-Identifier: Apache-2.0
#include "quamba2/error.h"
#include "quant/recipes/recipes.h"

namespace quamba2 {

namespace {

// Section 4 of arXiv 2503.22879. With activations in float nothing but the residual stream is rotated.
constexpr Ingredients kPaperA8 = {
    .rotate_residual = true, .rotate_inner = true, .gptq = true, .group_bc = true, .cluster = true};
constexpr Ingredients kPaperA16 = {.rotate_residual = true, .gptq = true};

}  // namespace

const std::vector<RecipeEntry>& recipe_index() {
  static const std::vector<RecipeEntry> index = {
      {"w8a8", "8-bit weights and activations", kPaperA8, make_w8a8},
      {"w4a8", "4-bit weights in two levels of scales, 8-bit activations", kPaperA8, make_w4a8},
      {"w4a16", "4-bit weights in groups, float activations", kPaperA16, make_w4a16},
      {"w4ax", "w4a8, w4a16 or w8a8, layer by layer (--layers)", kPaperA8, make_w4ax},
  };
  return index;
}

const RecipeEntry& find_recipe(const std::string& name) {
  std::string known;
  for (const RecipeEntry& entry : recipe_index()) {
    if (name == entry.name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error(ErrorCode::kUsage, "unknown recipe " + name, "", "there is none of this name",
              "the recipes are " + known);
}

}  // namespace quamba2
