// SPDX-License-Identifier: Apache-2.0
// linear_f16: F16 weights.
#include "backends/cuda/linear_many_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearF16 = linear_row<WeightKind::kF16>("linear_f16_cuda");

}  // namespace quamba2::cuda
