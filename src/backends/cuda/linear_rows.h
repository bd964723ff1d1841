// SPDX-License-Identifier: Apache-2.0
// Rows of `linear` on the GPU, best first. `architecture`: 10 * major + minor of the device.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

KernelRows<LinearArgs> cuda_linear_rows(int32_t architecture);

namespace cuda {
extern const Kernel<LinearArgs> kLinearW8A8, kLinearW4A8, kLinearGroups4A8, kLinearW6A8, kLinearW4A16, kLinearW6A16,
    kLinearW8A16, kLinearBF16, kLinearF16, kLinearF32, kLinearAny;
}  // namespace cuda

}  // namespace quamba2
