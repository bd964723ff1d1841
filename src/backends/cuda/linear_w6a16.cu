// SPDX-License-Identifier: Apache-2.0
// linear_w6a16: INT6 weights in groups, float activations.
#include "backends/cuda/linear_few_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearW6A16 = few_rows_row<WeightKind::kI6Float>("linear_w6a16_cuda");

}  // namespace quamba2::cuda
