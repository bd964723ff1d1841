// SPDX-License-Identifier: Apache-2.0
// The lower triangular l with l l^T = h^-1, in doubles. With J the reversal of rows, J h J = c c^T gives h = u u^T for the
// upper triangular u = J c J, so that l = u^-T = J c^-T J: one factorization and one inverse of a triangle, both by blocks
// whose bulk are matrix products. c, and c^-1 after it, lie in the lower triangle of `scratch`.
#include "backends/cuda/rounding/kernels.h"
#include "backends/cuda/rounding/product.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kBlock = 64;
constexpr int kSharedStride = kBlock + 1;
constexpr int kThreads = 256;

__device__ __forceinline__ double damped(const FactorArgs& p, int64_t i, int64_t j) {
  const double v = static_cast<double>(p.sum[i > j ? i * p.k + j : j * p.k + i]);
  if (i != j) return v;
  return (v == 0 ? p.dead : v) + p.added;
}

__global__ void damp(const __grid_constant__ FactorArgs p) {
  const int64_t j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, i = blockIdx.y;
  if (j >= p.k) return;
  p.h[i * p.k + j] = static_cast<float>(damped(p, i, j));
  if (j <= i) p.scratch[i * p.k + j] = damped(p, p.order[p.k - 1 - i], p.order[p.k - 1 - j]);
}

// The block [n, n] at `a` becomes its Cholesky factor, and `inverse` [kBlock, kBlock] that one's inverse.
__global__ void __launch_bounds__(kThreads)
    factor_block(double* a, int64_t stride, int n, double* inverse, int32_t* failed) {
  extern __shared__ double shared[];
  double *c = shared, *x = shared + kBlock * kSharedStride;
  const int t = static_cast<int>(threadIdx.x);
  for (int e = t; e < kBlock * kBlock; e += kThreads) {
    const int i = e / kBlock, j = e % kBlock;
    c[i * kSharedStride + j] = i < n && j <= i ? a[i * stride + j] : i == j ? 1.0 : 0.0;
    x[i * kSharedStride + j] = 0;
  }
  __syncthreads();
  for (int j = 0; j < n; ++j) {
    const double pivot = c[j * kSharedStride + j];
    const bool good = pivot > 0 && isfinite(pivot);
    const double root = good ? sqrt(pivot) : 1.0;
    __syncthreads();
    if (t == 0) {
      c[j * kSharedStride + j] = root;
      if (!good) *failed = 1;
    }
    for (int i = j + 1 + t; i < n; i += kThreads) c[i * kSharedStride + j] /= root;
    __syncthreads();
    const int left = n - j - 1;
    for (int e = t; e < left * left; e += kThreads) {
      const int i = j + 1 + e / left, k = j + 1 + e % left;
      if (k <= i) c[i * kSharedStride + k] -= c[i * kSharedStride + j] * c[k * kSharedStride + j];
    }
    __syncthreads();
  }
  if (t < kBlock) {  // column t of the inverse
    for (int i = t; i < kBlock; ++i) {
      double sum = i == t ? 1.0 : 0.0;
      for (int k = t; k < i; ++k) sum -= c[i * kSharedStride + k] * x[k * kSharedStride + t];
      x[i * kSharedStride + t] = sum / c[i * kSharedStride + i];
    }
  }
  __syncthreads();
  for (int e = t; e < kBlock * kBlock; e += kThreads) {
    const int i = e / kBlock, j = e % kBlock;
    if (i < n && j <= i) a[i * stride + j] = c[i * kSharedStride + j];
    inverse[e] = x[i * kSharedStride + j];
  }
}

__global__ void place_block(double* a, int64_t stride, int n, const double* inverse) {
  for (int e = static_cast<int>(threadIdx.x); e < n * n; e += static_cast<int>(blockDim.x)) {
    const int i = e / n, j = e % n;
    if (j <= i) a[i * stride + j] = inverse[i * kBlock + j];
  }
}

__global__ void turn_back(const double* x, int64_t k, float* l) {
  const int64_t j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, i = blockIdx.y;
  if (j < k) l[i * k + j] = j <= i ? static_cast<float>(x[(k - 1 - j) * k + (k - 1 - i)]) : 0.0f;
}

int64_t blocks_of(int64_t k) { return (k + kBlock - 1) / kBlock; }

void factor_columns(const FactorArgs& p, double* inverses, const Stream& stream) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream.device);
  constexpr size_t kShared = 2 * kBlock * kSharedStride * sizeof(double);
  cudaFuncSetAttribute(factor_block, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kShared));
  for (int64_t block = 0; block < blocks_of(p.k); ++block) {
    const int64_t begin = block * kBlock, n = p.k - begin < kBlock ? p.k - begin : kBlock, left = p.k - begin - n;
    double *diagonal = p.scratch + begin * p.k + begin, *inverse = inverses + block * kBlock * kBlock;
    factor_block<<<1, kThreads, kShared, cuda_stream>>>(diagonal, p.k, static_cast<int>(n), inverse, p.failed);
    double* panel = diagonal + n * p.k;
    // In place: a block of the product has all columns of its rows.
    run_product<double, Lies::kByRow, Lies::kByRow, Ends::kStore>({left, n, n, panel, inverse, panel, p.k, kBlock, p.k},
                                                                  stream);
    run_lower_product<double, Lies::kByRow, Lies::kByRow, Ends::kSubtract>(
        {left, left, n, panel, panel, panel + n, p.k, p.k, p.k}, stream);
  }
}

// Block row after block row: what stands in front of the diagonal becomes -d^-1 (c x), with x the rows above.
void invert_rows(const FactorArgs& p, const double* inverses, double* product, const Stream& stream) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream.device);
  for (int64_t block = 0; block < blocks_of(p.k); ++block) {
    const int64_t begin = block * kBlock, n = p.k - begin < kBlock ? p.k - begin : kBlock;
    double* row = p.scratch + begin * p.k;
    const double* inverse = inverses + block * kBlock * kBlock;
    if (begin > 0) {
      ProductOf<double> above = {n, begin, begin, row, p.scratch, product, p.k, p.k, p.k};
      above.b_is_triangular = true;
      run_product<double, Lies::kByRow, Lies::kByDepth, Ends::kNegate>(above, stream);
      run_product<double, Lies::kByRow, Lies::kByDepth, Ends::kStore>(
          {n, begin, n, inverse, product, row, kBlock, p.k, p.k}, stream);
    }
    place_block<<<1, kThreads, 0, cuda_stream>>>(row + begin, p.k, static_cast<int>(n), inverse);
  }
}

// What lies above the diagonal is read by products, and has to be zeros.
__global__ void clear_above(double* a, int64_t k) {
  const int64_t j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, i = blockIdx.y;
  if (j < k && j > i) a[i * k + j] = 0;
}

}  // namespace

// The matrix, inverses of its diagonal blocks, and a row of blocks.
size_t factor_scratch(int64_t k) { return static_cast<size_t>(k * k + blocks_of(k) * kBlock * kBlock + kBlock * k); }

void factorize(const FactorArgs& p, const Stream& stream) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream.device);
  const dim3 grid(static_cast<unsigned>((p.k + kThreads - 1) / kThreads), static_cast<unsigned>(p.k));
  double *inverses = p.scratch + p.k * p.k, *product = inverses + blocks_of(p.k) * kBlock * kBlock;
  cudaMemsetAsync(p.failed, 0, sizeof(int32_t), cuda_stream);
  damp<<<grid, kThreads, 0, cuda_stream>>>(p);
  factor_columns(p, inverses, stream);
  clear_above<<<grid, kThreads, 0, cuda_stream>>>(p.scratch, p.k);
  invert_rows(p, inverses, product, stream);
  turn_back<<<grid, kThreads, 0, cuda_stream>>>(p.scratch, p.k, p.l);
}

}  // namespace quamba2::cuda
