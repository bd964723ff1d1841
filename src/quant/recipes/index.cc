// SPDX-License-Identifier: Apache-2.0
#include "quamba2/error.h"
#include "quant/recipes/formats.h"
#include "quant/recipes/recipes.h"

namespace quamba2 {

const std::vector<RecipeEntry>& recipe_index() {
  static const std::vector<RecipeEntry> index = {
      {"w8a8", "8-bit weights, activations and states; static scales from calibration text", true, make_w8a8},
      {"w4a16", "4-bit weights in groups of 128, float activations", false, make_w4a16},
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

std::optional<Format> table_format(int bits) {
  switch (bits) {
    case 4: return i4_group128();
    case 6: return i6_group128();
    case 8: return i8_row();
    case 16: return std::nullopt;
    default:
      throw Error(ErrorCode::kUsage, "table bits out of range", std::to_string(bits),
                  "embedding and head take 4, 6, 8 or 16 bits");
  }
}

}  // namespace quamba2
