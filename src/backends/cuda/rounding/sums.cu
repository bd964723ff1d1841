// SPDX-License-Identifier: Apache-2.0
// What goes over all numbers once: residuals, losses, ranges, copies.
#include "backends/cuda/rounding/code_row.cuh"
#include "backends/cuda/rounding/kernels.h"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void order(const __grid_constant__ WeightRows p, const int32_t* order, float* out, int64_t numbers) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < numbers; i += int64_t{gridDim.x} * kThreads)
    out[i] = p.w[i / p.columns * p.columns + order[i % p.columns]];
}

__global__ void subtract(const float* w, const float* q, float* out, int64_t numbers) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < numbers; i += int64_t{gridDim.x} * kThreads)
    out[i] = w[i] - q[i];
}

__global__ void to_bytes(const float* codes, int8_t* bytes, int64_t numbers) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < numbers; i += int64_t{gridDim.x} * kThreads)
    bytes[i] = static_cast<int8_t>(codes[i]);
}

__global__ void find(const float* x, int64_t numbers, int32_t* flag) {
  bool found = false;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < numbers; i += int64_t{gridDim.x} * kThreads)
    found = found || !isfinite(x[i]);
  if (found) *flag = 1;
}

// A block a row.
__global__ void __launch_bounds__(kThreads)
    row_losses(const __grid_constant__ WeightRows p, const float* gradient, double* losses) {
  __shared__ double shared[kThreads];
  const int64_t row = int64_t{blockIdx.x} * p.columns;
  double sum = 0;
  for (int64_t k = threadIdx.x; k < p.columns; k += kThreads)
    sum += static_cast<double>(gradient[row + k]) * static_cast<double>(p.w[row + k] - p.q[row + k]);
  shared[threadIdx.x] = sum;
  __syncthreads();
  for (int d = kThreads / 2; d > 0; d /= 2) {
    if (threadIdx.x < d) shared[threadIdx.x] += shared[threadIdx.x + d];
    __syncthreads();
  }
  if (threadIdx.x == 0) losses[blockIdx.x] = fmax(shared[0], 0.0);
}

__device__ void copy_row(const WeightRows& from, const WeightRows& to, int64_t r) {
  for (int64_t k = threadIdx.x; k < from.columns; k += kThreads) {
    to.codes[r * from.columns + k] = from.codes[r * from.columns + k];
    to.q[r * from.columns + k] = from.q[r * from.columns + k];
  }
  for (int64_t g = threadIdx.x; g < from.groups; g += kThreads)
    to.scales[r * from.groups + g] = from.scales[r * from.groups + g];
  if (threadIdx.x == 0 && from.format.levels == 2) to.row_scales[r] = from.row_scales[r];
}

__global__ void __launch_bounds__(kThreads)
    keep(const __grid_constant__ WeightRows rows, const __grid_constant__ WeightRows kept, const double* now,
         double* best) {
  const int64_t r = blockIdx.x;
  const bool better = now[r] < best[r];
  __syncthreads();
  if (better) {
    copy_row(rows, kept, r);
    if (threadIdx.x == 0) best[r] = now[r];
  } else {
    copy_row(kept, rows, r);
  }
}

constexpr int kRowsOfBlock = 64;

// Magnitudes as whole numbers are in the order of their values, with NaN above all.
__global__ void widen_columns(const float* x, int64_t rows, int64_t columns, int64_t stride, int* range) {
  const int64_t c = int64_t{blockIdx.x} * kThreads + threadIdx.x, first = int64_t{blockIdx.y} * kRowsOfBlock;
  if (c >= columns) return;
  int most = 0;
  for (int64_t r = first; r < first + kRowsOfBlock && r < rows; ++r)
    most = max(most, __float_as_int(fabsf(x[r * stride + c])));
  atomicMax(range + c, most);
}

__global__ void diagonal(const float* sum, int64_t k, float* out) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < k) out[i] = sum[i * k + i];
}

unsigned few_blocks(int64_t numbers) {
  const int64_t blocks = (numbers + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < 4096 ? blocks : 4096);
}

}  // namespace

void order_columns(const WeightRows& rows, const int32_t* columns, float* ordered, const Stream& stream) {
  const int64_t numbers = rows.rows * rows.columns;
  order<<<few_blocks(numbers), kThreads, 0, stream_of(stream)>>>(rows, columns, ordered, numbers);
}

void residual(const WeightRows& rows, float* out, const Stream& stream) {
  const int64_t numbers = rows.rows * rows.columns;
  subtract<<<few_blocks(numbers), kThreads, 0, stream_of(stream)>>>(rows.w, rows.q, out, numbers);
}

void losses(const WeightRows& rows, const float* gradient, double* losses, const Stream& stream) {
  row_losses<<<static_cast<unsigned>(rows.rows), kThreads, 0, stream_of(stream)>>>(rows, gradient, losses);
}

void keep_better(const WeightRows& rows, const WeightRows& kept, const double* now, double* best,
                 const Stream& stream) {
  keep<<<static_cast<unsigned>(rows.rows), kThreads, 0, stream_of(stream)>>>(rows, kept, now, best);
}

void codes_to_bytes(const float* codes, int64_t count, int8_t* bytes, const Stream& stream) {
  to_bytes<<<few_blocks(count), kThreads, 0, stream_of(stream)>>>(codes, bytes, count);
}

void widen(const float* x, int64_t rows, int64_t columns, int64_t stride, float* range, const Stream& stream) {
  const dim3 grid(blocks_for(columns, kThreads), blocks_for(rows, kRowsOfBlock));
  widen_columns<<<grid, kThreads, 0, stream_of(stream)>>>(x, rows, columns, stride, reinterpret_cast<int*>(range));
}

void take_diagonal(const float* sum, int64_t k, float* out, const Stream& stream) {
  diagonal<<<blocks_for(k, kThreads), kThreads, 0, stream_of(stream)>>>(sum, k, out);
}

void find_not_finite(const float* x, int64_t count, int32_t* flag, const Stream& stream) {
  find<<<few_blocks(count), kThreads, 0, stream_of(stream)>>>(x, count, flag);
}

}  // namespace quamba2::cuda
