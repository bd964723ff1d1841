// SPDX-License-Identifier: Apache-2.0
// From a path or name to a model, quantized or not.
#pragma once

#include <string>

#include "graph/artifact.h"

namespace quamba2 {

// A model from its parts. Throws Error{kModelFile} where they do not fit together.
ModelData assemble(Artifact artifact, const Json& config, const std::string& directory);

// Throws Error{kModelFile} for anything that cannot be read or does not fit together.
ModelData load_model(const std::string& path_or_name);

}  // namespace quamba2
