// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/linear_rows.h"

namespace quamba2 {

KernelRows<LinearArgs> cuda_linear_rows(int32_t) {
  using namespace cuda;
  static const Kernel<LinearArgs> rows[] = {kLinearW8A8,  kLinearW4A8,  kLinearGroups4A8, kLinearW6A8, kLinearW4A16,
                                            kLinearW6A16, kLinearW8A16, kLinearBF16,      kLinearF16,  kLinearAny};
  return {rows, static_cast<int32_t>(sizeof(rows) / sizeof(rows[0]))};
}

}  // namespace quamba2
