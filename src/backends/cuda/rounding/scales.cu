// SPDX-License-Identifier: Apache-2.0
// Scales of weight rows, and plain rounding to them.
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/rounding/code_row.cuh"
#include "backends/cuda/rounding/kernels.h"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
// As quant/encode.cc: shares of the largest scale that are tried.
constexpr int kCandidates = 24;
constexpr float kStep = 0.02f;
constexpr int kTogether = 4;  // candidates that one pass over the weights looks at

// Of the two signs of `scale`: sums of squared errors over a group.
__device__ __forceinline__ void add_errors(const CodeRange& c, float w, float scale, float inverse, float (&sum)[2]) {
  const float t = __fmul_rn(w, inverse);
  const float up = w - rintf(fminf(fmaxf(t, c.lowest), c.highest)) * scale;
  const float down = w + rintf(fminf(fmaxf(-t, c.lowest), c.highest)) * scale;
  sum[0] += up * up;
  sum[1] += down * down;
}

__device__ float least_squares_scale(const float* w, int64_t n, float largest, const CodeRange& c, DType type) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float best = rounded_scale(type, largest), least = INFINITY;
  for (int first = 0; first < kCandidates; first += kTogether) {
    float scale[kTogether], inverse[kTogether], sum[kTogether][2] = {};
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      scale[i] = rounded_scale(type, __fmul_rn(largest, 1.0f - kStep * static_cast<float>(first + i)));
      inverse[i] = inverse_of(scale[i]);
    }
    for (int64_t k = lane; k < n; k += 32) {
      const float v = w[k];
#pragma unroll
      for (int i = 0; i < kTogether; ++i) add_errors(c, v, scale[i], inverse[i], sum[i]);
    }
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      if (scale[i] == 0) return best;
      const float up = warp_sum(sum[i][0]), down = warp_sum(sum[i][1]);
      if (up < least) least = up, best = scale[i];
      if (down < least) least = down, best = -scale[i];
    }
  }
  return best;
}

// A warp a group.
__global__ void choose(const __grid_constant__ WeightRows p, const __grid_constant__ CodeRange c, bool least_squares) {
  const int64_t i = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (i >= p.rows * p.groups) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t r = i / p.groups, begin = i % p.groups * p.group;
  const int64_t n = p.columns - begin < p.group ? p.columns - begin : p.group;
  const float* w = p.w + r * p.columns + begin;
  float most = 0;
  for (int64_t k = lane; k < n; k += 32) most = fmaxf(most, fabsf(w[k]));
  most = warp_max(most);
  const DType type = p.format.level[0].dtype;
  const float parts = p.format.storage == DType::kI8 ? 127.0f : 0.5f * (c.highest - c.lowest);
  const float largest = __fdiv_rn(most, parts);
  const float scale = least_squares ? least_squares_scale(w, n, largest, c, type) : rounded_scale(type, largest);
  if (lane == 0) p.scales[i] = scale;
}

__global__ void scale_rows(const __grid_constant__ WeightRows p) {
  const int64_t r = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (r >= p.rows) return;
  float most = 0;
  for (int64_t g = 0; g < p.groups; ++g) most = fmaxf(most, fabsf(p.scales[r * p.groups + g]));
  p.row_scales[r] = row_scale_for(p.format, most);
}

// What a code is of: the weights, or the codes that are there.
enum class From { kWeights, kCodes };

template <From kFrom>
__global__ void fill_rows(const __grid_constant__ WeightRows p, const __grid_constant__ CodeRange c) {
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x, r = blockIdx.y;
  if (k >= p.columns) return;
  const int64_t at = r * p.columns + k;
  const float scale = p.scales[r * p.groups + k / p.group];
  const float code = kFrom == From::kWeights ? nearest_code(c, p.w[at], inverse_of(scale)) : p.codes[at];
  p.codes[at] = code;
  p.q[at] = value_of(c, code, scale, row_scale_of(p, r));
}

template <From kFrom>
void fill(const WeightRows& p, const Stream& stream) {
  constexpr int64_t kMostRows = 65535;  // of a grid
  for (int64_t first = 0; first < p.rows; first += kMostRows) {
    WeightRows part = p;
    part.rows = p.rows - first < kMostRows ? p.rows - first : kMostRows;
    if (part.w) part.w += first * p.columns;
    part.codes += first * p.columns, part.q += first * p.columns;
    part.scales += first * p.groups;
    if (part.row_scales) part.row_scales += first;
    fill_rows<kFrom>
        <<<dim3(blocks_for(p.columns, kThreads), static_cast<unsigned>(part.rows)), kThreads, 0, stream_of(stream)>>>(
            part, code_range(p.format));
  }
}

// A warp a group `other` of a row; the last warps make the right side.
__global__ void normal(const __grid_constant__ NormalArgs p) {
  const WeightRows& rows = p.rows;
  const int64_t i = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32, width = p.index + 2;
  if (i >= rows.rows * width) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t r = i / width, other = i % width;
  const bool right = other > p.index;
  const int64_t begin = (right ? p.index : other) * rows.group;
  const int64_t end = rows.columns < begin + rows.group ? rows.columns : begin + rows.group;
  const float *left = (right ? p.wanted : p.product) + r * rows.columns, *codes = rows.codes + r * rows.columns;
  float sum = 0;
  for (int64_t k = begin + lane; k < end; k += 32) sum += left[k] * codes[k];
  sum = warp_sum(sum);
  if (lane != 0) return;
  const int64_t row = r * rows.groups + p.index;
  if (right) {
    p.b[row] = static_cast<double>(sum);
  } else {
    p.a[row * rows.groups + other] = static_cast<double>(sum);
  }
}

constexpr int kSolvers = 64;

__device__ double block_largest(double v, double* shared) {
  shared[threadIdx.x] = v;
  __syncthreads();
  for (int d = kSolvers / 2; d > 0; d /= 2) {
    if (threadIdx.x < d) shared[threadIdx.x] = fmax(shared[threadIdx.x], shared[threadIdx.x + d]);
    __syncthreads();
  }
  const double most = shared[0];
  __syncthreads();
  return most;
}

// a x = b by Cholesky; `b` becomes x. False where a is not positive definite.
__device__ bool solve(double* a, double* b, int n) {
  const int t = static_cast<int>(threadIdx.x);
  for (int j = 0; j < n; ++j) {
    for (int i = j + t; i < n; i += kSolvers) {
      double sum = a[i * n + j];
      for (int k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = sum;
    }
    __syncthreads();
    const double pivot = a[j * n + j];
    if (!(pivot > 0) || !isfinite(pivot)) return false;
    __syncthreads();
    const double root = sqrt(pivot);
    for (int i = j + t; i < n; i += kSolvers) a[i * n + j] = i == j ? root : a[i * n + j] / root;
    __syncthreads();
  }
  for (int i = 0; i < n; ++i) {  // each solved number leaves the right sides below, then above it
    if (t == 0) b[i] /= a[i * n + i];
    __syncthreads();
    for (int k = i + 1 + t; k < n; k += kSolvers) b[k] -= a[k * n + i] * b[i];
    __syncthreads();
  }
  for (int i = n; i-- > 0;) {
    if (t == 0) b[i] /= a[i * n + i];
    __syncthreads();
    for (int k = t; k < i; k += kSolvers) b[k] -= a[i * n + k] * b[i];
    __syncthreads();
  }
  return true;
}

// A block a row.
__global__ void __launch_bounds__(kSolvers) fit(const __grid_constant__ NormalArgs p) {
  __shared__ double shared[kSolvers];
  const WeightRows& rows = p.rows;
  const int n = static_cast<int>(rows.groups), t = static_cast<int>(threadIdx.x);
  const int64_t r = blockIdx.x;
  double *a = p.a + r * n * n, *b = p.b + r * n;
  float* scales = rows.scales + r * n;
  double most = 0;
  for (int g = t; g < n; g += kSolvers) most = fmax(most, a[g * n + g]);
  const double ridge = 1e-6 * block_largest(most, shared) + 1e-30;
  for (int g = t; g < n; g += kSolvers) {  // an empty group keeps its scale
    a[g * n + g] += ridge;
    b[g] += ridge * static_cast<double>(scales[g]);
  }
  __syncthreads();
  if (!solve(a, b, n)) return;
  float largest = 0;
  for (int g = t; g < n; g += kSolvers) {
    scales[g] = rounded_scale(rows.format.level[0].dtype, static_cast<float>(b[g]));
    largest = fmaxf(largest, fabsf(scales[g]));
  }
  if (rows.format.levels < 2) return;
  const auto row = static_cast<float>(block_largest(static_cast<double>(largest), shared));
  if (t == 0) rows.row_scales[r] = row_scale_for(rows.format, row);
}

}  // namespace

void choose_scales(const WeightRows& rows, bool least_squares, const Stream& stream) {
  choose<<<blocks_for(rows.rows * rows.groups, kWarps), kThreads, 0, stream_of(stream)>>>(rows, code_range(rows.format),
                                                                                          least_squares);
  if (rows.format.levels == 2) scale_rows<<<blocks_for(rows.rows, kThreads), kThreads, 0, stream_of(stream)>>>(rows);
}

void round_nearest(const WeightRows& rows, const Stream& stream) { fill<From::kWeights>(rows, stream); }

void normal_row(const NormalArgs& p, const Stream& stream) {
  normal<<<blocks_for(p.rows.rows * (p.index + 2), kWarps), kThreads, 0, stream_of(stream)>>>(p);
}

void fit_scales(const NormalArgs& p, const Stream& stream) {
  fit<<<static_cast<unsigned>(p.rows.rows), kSolvers, 0, stream_of(stream)>>>(p);
  fill<From::kCodes>(p.rows, stream);
}

}  // namespace quamba2::cuda
