// SPDX-License-Identifier: Apache-2.0
#include "quant/dense.h"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "quant/for_rows.h"

namespace quamba2 {
namespace {

TensorView matrix(const float* data, int64_t rows, int64_t columns, int64_t stride) {
  TensorView v;
  v.data = const_cast<float*>(data);
  v.dim[0] = static_cast<int32_t>(rows), v.dim[1] = static_cast<int32_t>(columns);
  v.stride[0] = static_cast<int32_t>(stride), v.stride[1] = 1;
  v.rank = 2;
  return v;
}

LinearArgs product(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                   int64_t ldc) {
  LinearArgs args;
  args.x.values = matrix(a, m, k, lda);
  args.weight.values = matrix(b, n, k, ldb);
  args.out.part[0].values = matrix(c, m, n, ldc);
  args.out.count = 1;
  args.out.begin[1] = static_cast<int32_t>(n);
  return args;
}

void grow(AlignedBuffer* buffer, size_t bytes) {
  if (buffer->size() < bytes) *buffer = AlignedBuffer(bytes);
}

}  // namespace

Dense::Dense(const Backend& backend) : linear_(nullptr), stream_(backend.stream()) {
  const LinearArgs any = product(2, 3, 5, nullptr, 5, nullptr, 5, nullptr, 3);
  const KernelRows<LinearArgs> rows = backend.table().linear;
  for (int32_t i = 0; i < rows.count && !linear_; ++i) {
    if (!rows.rows[i].supports(any).refusal) linear_ = &rows.rows[i];
  }
  QUAMBA2_CHECK(linear_ != nullptr, "the back end has no f32 linear kernel");
}

void Dense::multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                     float* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  LinearArgs args = product(m, n, k, a, lda, b, ldb, c, ldc);
  if (linear_->scratch_bytes) grow(&scratch_, linear_->scratch_bytes(args, stream_.threads));
  stream_.scratch = static_cast<char*>(scratch_.data());
  if (linear_->prepare) {
    grow(&prepared_, linear_->prepared_bytes(args));
    linear_->prepare(args, prepared_.data(), stream_);
    args.prepared = prepared_.data();
  }
  linear_->run(args, stream_);
}

void Dense::subtract_product(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                             float* c, int64_t ldc) {
  if (product_.size() < static_cast<size_t>(m * n)) product_.resize(static_cast<size_t>(m * n));
  multiply(m, n, k, a, lda, b, ldb, product_.data(), n);
  for_rows(stream_, m, [&](int64_t r) {
    const float* from = product_.data() + r * n;
    float* to = c + r * ldc;
    for (int64_t i = 0; i < n; ++i) to[i] -= from[i];
  });
}

void Dense::add_gram(const float* x, int64_t rows, int64_t k, float* sum) {
  constexpr int64_t kBlock = 4096;  // rows at a time, so that the copies stay small
  for (int64_t begin = 0; begin < rows; begin += kBlock) {
    const int64_t count = std::min(kBlock, rows - begin);
    transposed_.resize(static_cast<size_t>(count * k));
    product_.resize(std::max(product_.size(), static_cast<size_t>(k * k)));
    for_rows(stream_, (k + 15) / 16, [&](int64_t block) {
      for (int64_t t = 0; t < count; ++t) {
        for (int64_t j = block * 16; j < std::min(k, block * 16 + 16); ++j)
          transposed_[static_cast<size_t>(j * count + t)] = x[(begin + t) * k + j];
      }
    });
    multiply(k, k, count, transposed_.data(), count, transposed_.data(), count, product_.data(), k);
    for_rows(stream_, k, [&](int64_t r) {
      for (int64_t i = 0; i < k; ++i) sum[r * k + i] += product_[static_cast<size_t>(r * k + i)];
    });
  }
}

bool inverse_cholesky(const std::vector<double>& h, int64_t n, std::vector<float>* l) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::LLT<Matrix> factor(Eigen::Map<const Matrix>(h.data(), n, n));
  if (factor.info() != Eigen::Success) return false;
  const Eigen::LLT<Matrix> inverse(factor.solve(Matrix::Identity(n, n)));
  if (inverse.info() != Eigen::Success) return false;
  const Matrix lower = inverse.matrixL();
  l->assign(lower.data(), lower.data() + n * n);
  return std::all_of(l->begin(), l->end(), [](float v) { return std::isfinite(v); });
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
