// SPDX-License-Identifier: Apache-2.0
// The model families. A new one is a file with an emit function and a line in registry.cc.
#pragma once

#include <string>

#include "arch/config.h"
#include "graph/builder.h"
#include "graph/model.h"

namespace quamba2 {

struct Family {
  const char* name;          // Hugging Face's model_type
  const char* architecture;  // Hugging Face's architectures[0]
  const char* layer;         // state-spaces' ssm_cfg.layer, or null
  // Appends the mixer of one layer. `prefix` is the name of its weights ("backbone.layers.3.mixer."), `u` its
  // normalised input; the result is added to the residual.
  EdgeId (*emit_mixer)(GraphBuilder& g, const MixerConfig& config, const std::string& prefix, EdgeId u);
};

const Family* find_family(const std::string& name);  // nullptr where unknown
const Family* find_family_by_architecture(const std::string& architecture);
const Family* find_family_by_layer(const std::string& layer);
std::string family_list();  // "mamba, mamba2, falcon_mamba"

// Builds the model from its config and weights. Weights that no operation uses are reported as a warning. Throws
// Error{kModelFile} naming tensor and field where they do not fit.
ModelData build_model(const Json& config, WeightMap weights, const std::string& directory,
                      const Transforms& transforms = {});

// Throws Error{kModelFile} naming a weight that holds NaN or infinity. Reads all weights once.
void check_finite(const Graph& graph);

}  // namespace quamba2
