// SPDX-License-Identifier: Apache-2.0
// The passes that recipes are made of; one file each.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "quant/encode.h"
#include "quant/pass.h"

namespace quamba2 {

// Multiplies the weight of each block norm (and of the final norm, where the head has its own table) into the linear that
// follows, and its bias into that linear's bias. Norm weights become ones. Exact but for rounding.
Pass fold_norms();

// Target formats by role. A role is a name without its layer: "in_proj.weight", "z", "ssm_state". An empty result leaves
// the tensor in float. `feeds_linear`: a linear reads this activation.
struct FormatRules {
  std::function<std::optional<Format>(const std::string& role)> weight, state;
  std::function<std::optional<Format>(const std::string& role, bool feeds_linear)> edge;
};
Pass set_formats(FormatRules rules);

// Measures the ranges of all edges and states whose target format has static scales.
Pass observe_formats();

// Encodes weights in their target formats and gives edges and states their scales.
Pass encode_weights(ScaleChoice choice);

}  // namespace quamba2
