// SPDX-License-Identifier: Apache-2.0
// Rows of the convolution on the GPU.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

KernelRows<CausalConv1dArgs> cuda_causal_conv1d_rows();

}  // namespace quamba2
