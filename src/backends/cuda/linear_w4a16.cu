// SPDX-License-Identifier: Apache-2.0
// linear_w4a16: INT4 weights in groups, float activations.
#include "backends/cuda/linear_many_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearW4A16 = linear_row<WeightKind::kI4Float>("linear_w4a16_cuda");

}  // namespace quamba2::cuda
