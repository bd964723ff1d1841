// SPDX-License-Identifier: Apache-2.0
// linear_w8a8: INT8 weights with a scale a row, INT8 activations.
#include "backends/cuda/linear_many_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearW8A8 = linear_row<WeightKind::kI8>("linear_w8a8_cuda");

}  // namespace quamba2::cuda
