// SPDX-License-Identifier: Apache-2.0
// The Mamba mixer (arXiv 2312.00752, figure 3), and Falcon-Mamba's, which also normalises dt, B and C.
#pragma once

#include <string>

#include "arch/config.h"
#include "graph/builder.h"

namespace quamba2 {

EdgeId emit_mamba1(GraphBuilder& g, const MixerConfig& config, const std::string& prefix, EdgeId u);

}  // namespace quamba2
