// SPDX-License-Identifier: Apache-2.0
// linear_w6a8: INT6 weights in groups, INT8 activations.
#include "backends/cuda/linear_many_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearW6A8 = linear_row<WeightKind::kI6>("linear_w6a8_cuda");

}  // namespace quamba2::cuda
