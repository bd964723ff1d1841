// SPDX-License-Identifier: Apache-2.0
// The Mamba2 mixer (arXiv 2405.21060, figure 6).
#pragma once

#include <string>

#include "arch/config.h"
#include "graph/builder.h"

namespace quamba2 {

EdgeId emit_mamba2(GraphBuilder& g, const MixerConfig& config, const std::string& prefix, EdgeId u);

}  // namespace quamba2
