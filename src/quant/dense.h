// SPDX-License-Identifier: Apache-2.0
// Dense linear algebra of the quantizer, through BLAS and LAPACK. Matrices are row-major.
#pragma once

#include <cstdint>
#include <vector>

namespace quamba2 {

// sum [k, k] += x^T x for x [rows, k]; the upper triangle only.
void add_gram(const float* x, int64_t rows, int64_t k, float* sum);

// c [m, n] = beta * c + alpha * a [m, k] * b [k, n]; lda, ldb, ldc are the strides of rows.
void multiply(int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda, const float* b, int64_t ldb,
              float beta, float* c, int64_t ldc);

// For a symmetric positive definite h [n, n] (both triangles given): the upper triangular u with u^T u = h^-1, zeros
// below. False where h is not positive definite in double precision.
bool inverse_cholesky(const std::vector<double>& h, int64_t n, std::vector<float>* u);

// Solves a x = b for a symmetric positive definite a [n, n] of a few rows; a and b are overwritten, b by x. False where it
// is not.
bool solve_small(double* a, int n, double* b);

}  // namespace quamba2
