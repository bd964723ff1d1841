// SPDX-License-Identifier: Apache-2.0
#include "quant/dense.h"

#include <cblas.h>
#include <lapacke.h>

#include <cmath>

namespace quamba2 {
namespace {

blasint narrow(int64_t n) { return static_cast<blasint>(n); }

}  // namespace

void add_gram(const float* x, int64_t rows, int64_t k, float* sum) {
  cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, narrow(k), narrow(rows), 1.0f, x, narrow(k), 1.0f, sum, narrow(k));
}

void multiply(int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda, const float* b, int64_t ldb,
              float beta, float* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, narrow(m), narrow(n), narrow(k), alpha, a, narrow(lda), b,
              narrow(ldb), beta, c, narrow(ldc));
}

bool inverse_cholesky(const std::vector<double>& h, int64_t n, std::vector<float>* u) {
  std::vector<double> a = h;
  const auto order = static_cast<lapack_int>(n);
  // Row-major upper is column-major lower: LAPACK works in place on either without copying.
  if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', order, a.data(), order) != 0) return false;
  if (LAPACKE_dpotri(LAPACK_COL_MAJOR, 'L', order, a.data(), order) != 0) return false;
  if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', order, a.data(), order) != 0) return false;
  u->assign(static_cast<size_t>(n * n), 0.0f);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i; j < n; ++j) {
      const double v = a[static_cast<size_t>(i * n + j)];
      if (!std::isfinite(v)) return false;
      (*u)[static_cast<size_t>(i * n + j)] = static_cast<float>(v);
    }
  }
  return true;
}

bool solve_small(double* a, int n, double* b) {
  for (int j = 0; j < n; ++j) {
    for (int i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (int k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      if (i > j) {
        a[i * n + j] = sum / a[j * n + j];
      } else {
        if (!(sum > 0) || !std::isfinite(sum)) return false;
        a[j * n + j] = std::sqrt(sum);
      }
    }
  }
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (int i = n; i-- > 0;) {
    for (int k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return true;
}

}  // namespace quamba2
