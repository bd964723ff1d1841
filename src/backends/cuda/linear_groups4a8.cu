// SPDX-License-Identifier: Apache-2.0
// linear_groups4a8: INT4 weights in groups (one level), INT8 activations.
#include "backends/cuda/linear_few_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearGroups4A8 = few_rows_row<WeightKind::kI4>("linear_groups4a8_cuda");

}  // namespace quamba2::cuda
