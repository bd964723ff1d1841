// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/rounding/kernels.h"

namespace quamba2 {

const RoundingKernels& cuda_rounding_kernels() {
  static constexpr RoundingKernels kernels = {
      cuda::multiply,      cuda::add_gram,      cuda::factor_scratch, cuda::factorize,   cuda::choose_scales,
      cuda::round_nearest, cuda::order_columns, cuda::round_block,    cuda::residual,    cuda::losses,
      cuda::normal_row,    cuda::fit_scales,    cuda::descend_block,  cuda::keep_better, cuda::codes_to_bytes,
      cuda::widen,         cuda::take_diagonal, cuda::find_not_finite};
  return kernels;
}

}  // namespace quamba2
