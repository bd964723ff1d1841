// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/rounding/product.cuh"

#include "backends/cuda/rounding/kernels.h"

namespace quamba2::cuda {

void multiply(const ProductArgs& p, const Stream& stream) {
  const ProductOf<float> product = {p.m, p.n, p.k, p.a, p.b, p.c, p.lda, p.ldb, p.ldc};
  if (p.subtract) {
    run_product<float, Lies::kByRow, Lies::kByRow, Ends::kSubtract>(product, stream);
  } else {
    run_product<float, Lies::kByRow, Lies::kByRow, Ends::kStore>(product, stream);
  }
}

void add_gram(const float* x, int64_t rows, int64_t k, float* sum, const Stream& stream) {
  run_lower_product<float, Lies::kByDepth, Lies::kByDepth, Ends::kAdd>({k, k, rows, x, x, sum, k, k, k}, stream);
}

}  // namespace quamba2::cuda
