// SPDX-License-Identifier: Apache-2.0
// Rows of the norms on the GPU.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

KernelRows<RmsNormArgs> cuda_rms_norm_rows();
KernelRows<LayerNormArgs> cuda_layer_norm_rows();
KernelRows<GatedRmsNormArgs> cuda_gated_rms_norm_rows();

}  // namespace quamba2
