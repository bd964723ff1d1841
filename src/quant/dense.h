// SPDX-License-Identifier: Apache-2.0
// Dense linear algebra of the quantizer. Products run on the back end's own f32 linear kernels, which know the machine
// (a distribution's BLAS may not); factorizations are Eigen's. Matrices are row-major.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/memory.h"

namespace quamba2 {

class Dense {
 public:
  explicit Dense(const Backend& backend);

  // c [m, n] = a [m, k] * b^T for b [n, k]; lda, ldb, ldc are the strides of rows.
  void multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                int64_t ldc);
  // c -= a * b^T
  void subtract_product(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                        float* c, int64_t ldc);
  // sum [k, k] += x^T x for x [rows, k].
  void add_gram(const float* x, int64_t rows, int64_t k, float* sum);

  const Stream& stream() const { return stream_; }

 private:
  const Kernel<LinearArgs>* linear_;  // takes f32 of any shape
  Stream stream_;
  AlignedBuffer scratch_, prepared_;
  std::vector<float> product_, transposed_;
};

// For a symmetric positive definite h [n, n] (both triangles given): the lower triangular l with l l^T = h^-1, zeros
// above. False where h is not positive definite in double precision.
bool inverse_cholesky(const std::vector<double>& h, int64_t n, std::vector<float>* l);

// Solves a x = b for a symmetric positive definite a [n, n] of a few rows; a and b are overwritten, b by x. False where it
// is not.
bool solve_small(double* a, int n, double* b);

}  // namespace quamba2
