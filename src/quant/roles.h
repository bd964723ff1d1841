// SPDX-License-Identifier: Apache-2.0
// Names without their layer: what formats are chosen by.
#pragma once

#include <string>

namespace quamba2 {

// "backbone.layers.3.mixer.in_proj.weight" -> "in_proj.weight"; both embedding names -> "embedding.weight".
std::string weight_role(const std::string& name);
// "backbone.layers.3.mixer.in_proj.weight" -> "backbone.layers.3.mixer.in_proj.bias"
std::string bias_name(const std::string& weight);
// "layers.3.z" -> "z"; "head.u" stays.
std::string edge_role(const std::string& name);

}  // namespace quamba2
