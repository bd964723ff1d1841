// SPDX-License-Identifier: Apache-2.0
// W4A16: weights INT4 in groups of 128 along the input, everything else in float; the state in half precision between
// steps (method.md 2.8).
#include "quant/passes/passes.h"
#include "quant/recipes/formats.h"
#include "quant/recipes/recipes.h"

namespace quamba2 {

Recipe make_w4a16(const RecipeOptions& options) {
  const int table_bits = options.table_bits ? options.table_bits : 8;
  FormatRules rules;
  rules.weight = [table_bits](const std::string& role) -> std::optional<Format> {
    if (role == "embedding.weight" || role == "lm_head.weight") return table_format(table_bits);
    if (role == "in_proj.weight" || role == "out_proj.weight" || role == "x_proj.weight") return i4_group128();
    if (role == "dt_proj.weight") return i8_row();
    return std::nullopt;
  };
  rules.edge = [](const std::string&, bool) { return std::optional<Format>(); };
  rules.state = [](const std::string& role) {
    return role == "ssm_state" ? std::optional<Format>(f16()) : std::nullopt;
  };
  return Recipe{"w4a16", {}}
      .then(fold_norms())
      .then(set_formats(rules))
      .then(observe_formats())
      .then(encode_weights(ScaleChoice::kLeastSquares));
}

}  // namespace quamba2
