// SPDX-License-Identifier: Apache-2.0
// linear_w8a16: INT8 weights with a scale a row, float activations.
#include "backends/cuda/linear_many_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearW8A16 = linear_row<WeightKind::kI8Float>("linear_w8a16_cuda");

}  // namespace quamba2::cuda
