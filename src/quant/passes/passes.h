// SPDX-License-Identifier: Apache-2.0
// The passes that recipes are made of; one file each.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "quant/encode.h"
#include "quant/gptq.h"
#include "quant/pass.h"

namespace quamba2 {

// Gives the head a table of its own, so that it can absorb the final norm and be rounded for itself. Twice the bytes.
Pass untie_head();

// Multiplies the weight of each block norm (and of the final norm, where the head has its own table) into the linear that
// follows, and its bias into that linear's bias. Norm weights become ones. Exact but for rounding.
Pass fold_norms();

// Offline Hadamard of the residual stream.
Pass rotate_residual();

// Sorts channels and clusters heads of x by their magnitudes on calibration text, so that `clusters` head clusters of
// `clusters` channel ranges in every SSD group can share a scale each (Mamba2).
Pass cluster_channels(int clusters);

// Online Hadamard in front of out_proj. `needs`: what has to be done before in this recipe.
Pass rotate_inner(Facts needs = 0);

// Mamba1: x_proj reads a copy of x with an encoding of its own ("x_row"), so that the scan's may have a scale a channel.
Pass separate_x_proj();

// Target formats by role. A role is a name without its layer: "in_proj.weight", "z", "ssm_state". An empty result leaves
// the tensor in float. `feeds_linear`: a linear reads this activation. Layers are counted from 0; the head's is -1.
struct FormatRules {
  std::function<std::optional<Format>(const std::string& role, int64_t layer)> weight;
  std::function<std::optional<ActivationTarget>(const std::string& role, bool feeds_linear, int64_t layer)> edge;
  std::function<std::optional<ActivationTarget>(const std::string& role, int64_t layer)> state;
};
Pass set_formats(FormatRules rules);

// Measures the ranges of all edges and states whose target format has static scales. `reads_text`: there are some.
Pass observe_formats(bool reads_text);

// Gives edges and states their target formats and scales.
Pass encode_activations();

struct GptqPassOptions {
  GptqOptions rounding;
  int most_bits = 6;                         // weights of more bits are rounded to nearest
  std::vector<std::string> to_nearest = {};  // and so are these roles
};
Pass gptq(const GptqPassOptions& options);

// Encodes the remaining weights in their target formats, rounded to nearest.
Pass encode_weights(ScaleChoice choice);

}  // namespace quamba2
