// SPDX-License-Identifier: Apache-2.0
// Merges nodes of a plan's graph where a kernel of the back end takes them together: fewer steps, the same rounding (what is
// merged had a float between it that nothing else rounds).
//   add, rms_norm                        -> rms_norm of a sum
//   gate or gated_rms_norm, hadamard     -> the same with a rotation
#pragma once

#include "backend/plan.h"

namespace quamba2 {

void fuse(Graph* graph, const KernelTable& table, const PlanLimits& limits, DType float_type);

}  // namespace quamba2
