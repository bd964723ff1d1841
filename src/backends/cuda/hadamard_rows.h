// SPDX-License-Identifier: Apache-2.0
// Rows of the Hadamard transform on the GPU.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

KernelRows<HadamardArgs> cuda_hadamard_rows();

}  // namespace quamba2
