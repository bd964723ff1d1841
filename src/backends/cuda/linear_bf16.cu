// SPDX-License-Identifier: Apache-2.0
// linear_bf16: BF16 weights.
#include "backends/cuda/linear_many_rows.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {

const Kernel<LinearArgs> kLinearBF16 = linear_row<WeightKind::kBF16>("linear_bf16_cuda");

}  // namespace quamba2::cuda
