// SPDX-License-Identifier: Apache-2.0
// The kernel tables of the GPU, one a compute capability.
#pragma once

#include <string>

#include "backend/kernel.h"

namespace quamba2 {

// Whether this build has kernels for a compute capability (10 * major + minor).
bool has_cuda_table(int32_t architecture);
std::string cuda_architectures();  // "9.0"
const KernelTable& cuda_table(int32_t architecture);

}  // namespace quamba2
