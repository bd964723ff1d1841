// SPDX-License-Identifier: Apache-2.0
// linear_w4a8: INT4 weights in two levels of scales, INT8 activations.
#include "backends/cuda/linear_many_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearW4A8 = linear_row<WeightKind::kI4Ratio>("linear_w4a8_cuda");

}  // namespace quamba2::cuda
