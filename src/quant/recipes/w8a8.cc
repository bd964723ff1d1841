// SPDX-License-Identifier: Apache-2.0
// W8A8: weights INT8 a row; activations, conv, scan inputs and states INT8 with static scales (method.md 2.8). One scale
// a tensor where a matrix multiplies the activation, one a channel elsewhere: that costs nothing at run time.
#include "quant/passes/passes.h"
#include "quant/recipes/formats.h"
#include "quant/recipes/recipes.h"

namespace quamba2 {
namespace {

bool is_one_of(const std::string& role, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (role == name) return true;
  }
  return false;
}

// Inputs of linears, of the conv and of the scan, and the gate. The scan's output and the residual stay in float.
bool is_quantized(const std::string& role) {
  return is_one_of(role, {"u", "v", "gated", "head.u", "dt_low", "x_in", "xbc", "x", "b", "c", "dt", "z", "z0", "x0"});
}

}  // namespace

Recipe make_w8a8(const RecipeOptions& options) {
  const int table_bits = options.table_bits ? options.table_bits : 8;
  FormatRules rules;
  rules.weight = [table_bits](const std::string& role) -> std::optional<Format> {
    if (is_one_of(role, {"embedding.weight", "lm_head.weight"})) return table_format(table_bits);
    if (is_one_of(role, {"in_proj.weight", "out_proj.weight", "x_proj.weight", "dt_proj.weight", "conv1d.weight"}))
      return i8_row();
    return std::nullopt;
  };
  rules.edge = [](const std::string& role, bool feeds_linear) -> std::optional<Format> {
    if (!is_quantized(role)) return std::nullopt;
    return feeds_linear ? i8_tensor() : i8_column();
  };
  rules.state = [](const std::string& role) -> std::optional<Format> {
    if (role == "ssm_state") return i8_column();
    return std::nullopt;  // the conv state is like its input
  };
  return Recipe{"w8a8", {}}
      .then(fold_norms())
      .then(set_formats(rules))
      .then(observe_formats())
      .then(encode_weights(ScaleChoice::kLargest));
}

}  // namespace quamba2
