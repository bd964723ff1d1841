// SPDX-License-Identifier: Apache-2.0
// From a path or name to a model, quantized or not.
#pragma once

#include <string>

#include "graph/model.h"

namespace quamba2 {

// Throws Error{kModelFile} for anything that cannot be read or does not fit together.
ModelData load_model(const std::string& path_or_name);

}  // namespace quamba2
