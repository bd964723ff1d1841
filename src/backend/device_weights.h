// SPDX-License-Identifier: Apache-2.0
// The constants of a plan in a device's memory: weights in the layouts of their kernels, and all else as it is stored.
#pragma once

#include "backend/plan.h"

namespace quamba2 {

// What they will take, given steps bound to shapes only.
size_t device_weight_bytes(const Plan& plan);

// Re-lays weights in host memory, copies them and all other constants, and points the steps there.
void upload_weights(Plan* plan, const Stream& stream, size_t bytes);

}  // namespace quamba2
