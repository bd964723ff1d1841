// SPDX-License-Identifier: Apache-2.0
// GPTQ and coordinate descent, column after column of a block: a warp has a row, and a lane four of its columns. What a
// column's rounding does to the others of the block is told by the lane that has it.
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/rounding/code_row.cuh"
#include "backends/cuda/rounding/kernels.h"

namespace quamba2::cuda {
namespace {

constexpr int kBlock = static_cast<int>(kRoundingBlock);
constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kRowsOfWarp = 4;  // one after the other, so that the block's matrix is read once for them
constexpr int kOwn = kBlock / 32;
constexpr size_t kShared = kBlock * kBlock * sizeof(float);

struct Column {
  float scale, inverse;
};

__device__ __forceinline__ Column column_of(const WeightRows& rows, int64_t r, int64_t k) {
  const float scale = rows.scales[r * rows.groups + k / rows.group];
  return {scale, inverse_of(scale)};
}

__global__ void __launch_bounds__(kThreads)
    round_columns(const __grid_constant__ BlockArgs p, const __grid_constant__ CodeRange c) {
  extern __shared__ float u[];  // the block of l^T on the diagonal
  const WeightRows& rows = p.rows;
  const int n = static_cast<int>(p.end - p.begin), lane = static_cast<int>(threadIdx.x) % 32;
  for (int e = static_cast<int>(threadIdx.x); e < kBlock * kBlock; e += kThreads) {
    const int i = e / kBlock, j = e % kBlock;  // neighbours read neighbours of l
    u[j * kBlock + i] = i < n && j <= i ? p.l[(p.begin + i) * rows.columns + p.begin + j] : 0.0f;
  }
  __syncthreads();
  const int64_t first = (int64_t{blockIdx.x} * kWarps + threadIdx.x / 32) * kRowsOfWarp;
  for (int64_t r = first; r < first + kRowsOfWarp && r < rows.rows; ++r) {
    const float row_scale = row_scale_of(rows, r);
    float w[kOwn], diagonal[kOwn], code[kOwn], q[kOwn], error[kOwn];
    Column column[kOwn];
    int64_t at[kOwn];
#pragma unroll
    for (int t = 0; t < kOwn; ++t) {
      const int j = lane + 32 * t;
      const bool inside = j < n;
      const int64_t k = inside ? p.order[p.begin + j] : 0;
      at[t] = r * rows.columns + k;
      w[t] = inside ? p.ordered[r * rows.columns + p.begin + j] : 0.0f;
      diagonal[t] = inside ? u[j * kBlock + j] : 1.0f;
      column[t] = column_of(rows, r, k);
      code[t] = q[t] = error[t] = 0;
    }
#pragma unroll
    for (int t = 0; t < kOwn; ++t) {
      for (int from = 0; from < 32 && 32 * t + from < n; ++from) {
        const float mine = nearest_code(c, w[t], column[t].inverse);
        const float value = value_of(c, mine, column[t].scale, row_scale);
        const float my_error = __fdiv_rn(w[t] - value, diagonal[t]);
        if (lane == from) code[t] = mine, q[t] = value, error[t] = my_error;
        const float told = __shfl_sync(kAllLanes, my_error, from);
        const float* line = u + (32 * t + from) * kBlock + lane;
#pragma unroll
        for (int s = t; s < kOwn; ++s) w[s] -= told * line[32 * s];
      }
    }
#pragma unroll
    for (int t = 0; t < kOwn; ++t) {
      const int j = lane + 32 * t;
      p.errors[r * kBlock + j] = error[t];
      if (j >= n) continue;
      rows.codes[at[t]] = code[t];
      rows.q[at[t]] = q[t];
    }
  }
}

// Moving q_j by d changes the loss by d (d h_jj - 2 g_j): the best q_j is q_j + g_j / h_jj.
__global__ void __launch_bounds__(kThreads)
    descend_columns(const __grid_constant__ DescentArgs p, const __grid_constant__ CodeRange c) {
  extern __shared__ float h[];  // the block of h on the diagonal
  const WeightRows& rows = p.rows;
  const int n = static_cast<int>(p.end - p.begin), lane = static_cast<int>(threadIdx.x) % 32;
  for (int e = static_cast<int>(threadIdx.x); e < kBlock * kBlock; e += kThreads) {
    const int j = e / kBlock, i = e % kBlock;
    h[e] = i < n && j < n ? p.h[(p.begin + j) * rows.columns + p.begin + i] : 0.0f;
  }
  __syncthreads();
  const int64_t first = (int64_t{blockIdx.x} * kWarps + threadIdx.x / 32) * kRowsOfWarp;
  for (int64_t r = first; r < first + kRowsOfWarp && r < rows.rows; ++r) {
    const float row_scale = row_scale_of(rows, r);
    const int64_t base = r * rows.columns + p.begin;
    float gradient[kOwn], q[kOwn], diagonal[kOwn], code[kOwn], move[kOwn];
    Column column[kOwn];
#pragma unroll
    for (int t = 0; t < kOwn; ++t) {
      const int j = lane + 32 * t;
      const bool inside = j < n;
      gradient[t] = inside ? p.gradient[base + j] : 0.0f;
      q[t] = inside ? rows.q[base + j] : 0.0f;
      code[t] = inside ? rows.codes[base + j] : 0.0f;
      diagonal[t] = inside ? h[j * kBlock + j] : 1.0f;
      column[t] = column_of(rows, r, inside ? p.begin + j : 0);
      move[t] = 0;
    }
#pragma unroll
    for (int t = 0; t < kOwn; ++t) {
      for (int from = 0; from < 32 && 32 * t + from < n; ++from) {
        const float mine = nearest_code(c, q[t] + __fdiv_rn(gradient[t], diagonal[t]), column[t].inverse);
        const float value = value_of(c, mine, column[t].scale, row_scale);
        const float d = value - q[t];
        const bool better = lane == from && d != 0 && d * (d * diagonal[t] - 2 * gradient[t]) < 0;
        if (better) code[t] = mine, q[t] = value, move[t] = d;
        const float told = __shfl_sync(kAllLanes, better ? d : 0.0f, from);
        if (told == 0) continue;
        const float* line = h + (32 * t + from) * kBlock + lane;
#pragma unroll
        for (int s = 0; s < kOwn; ++s) gradient[s] -= told * line[32 * s];
      }
    }
#pragma unroll
    for (int t = 0; t < kOwn; ++t) {
      const int j = lane + 32 * t;
      p.moves[r * kBlock + j] = move[t];
      if (j >= n) continue;
      p.gradient[base + j] = gradient[t];
      rows.q[base + j] = q[t];
      rows.codes[base + j] = code[t];
    }
  }
}

}  // namespace

void round_block(const BlockArgs& p, const Stream& stream) {
  cudaFuncSetAttribute(round_columns, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kShared));
  round_columns<<<blocks_for(p.rows.rows, kWarps * kRowsOfWarp), kThreads, kShared, stream_of(stream)>>>(
      p, code_range(p.rows.format));
}

void descend_block(const DescentArgs& p, const Stream& stream) {
  cudaFuncSetAttribute(descend_columns, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kShared));
  descend_columns<<<blocks_for(p.rows.rows, kWarps * kRowsOfWarp), kThreads, kShared, stream_of(stream)>>>(
      p, code_range(p.rows.format));
}

}  // namespace quamba2::cuda
