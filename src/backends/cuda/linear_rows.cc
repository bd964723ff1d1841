// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/linear_rows.h"

namespace quamba2 {

KernelRows<LinearArgs> cuda_linear_rows(int32_t) {
  static const Kernel<LinearArgs> rows[] = {cuda::kLinearW8A8,  cuda::kLinearW4A8,  cuda::kLinearGroups4A8,
                                            cuda::kLinearW6A8,  cuda::kLinearW4A16, cuda::kLinearW6A16,
                                            cuda::kLinearW8A16, cuda::kLinearBF16,  cuda::kLinearF16,
                                            cuda::kLinearF32,   cuda::kLinearAny};
  return {rows, static_cast<int32_t>(sizeof(rows) / sizeof(rows[0]))};
}

}  // namespace quamba2
