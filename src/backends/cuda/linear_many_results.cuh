// SPDX-License-Identifier: Apache-2.0
// The end of linear_many_rows: sums pass through shared memory, so that whole lines of results leave, as floats or as codes.
#pragma once

#include "backends/cuda/device/barrier.cuh"
#include "backends/cuda/linear_tile_rows.cuh"

namespace quamba2::cuda {

struct ManyRows {
  PreparedWeight weight;
  const char* tokens_tiled;
  const float* up;
  Numbers x;
  LinearParts out;
  int32_t tokens, padded_tokens, blocks;
  int32_t splits;        // blocks of a cluster that share a tile of results, each with a part of K
  int32_t group_stride;  // groups of scales that have room a band
};

constexpr int kManyRows = 128;                // weight rows of a block
constexpr int kResultStride = kManyRows + 4;  // floats a token, where results pass through shared memory

// What a block's weight rows and tokens are multiplied with at the end; there before the products are.
template <int kTokens>
struct ResultScales {
  float row[kManyRows], bias[kManyRows];
  float inverse[kManyRows];  // of the output's scale; NaN where the division must be done
  float token[kTokens];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ __forceinline__ int part_of(const LinearParts& out, int32_t n) {
  int part = 0;
  while (part + 1 < out.count && n >= out.begin[part + 1]) ++part;
  return part;
}

// By 256 threads. Those of weight rows need no kernel in front to have ended.
template <WeightKind kKind, int kTokens>
__device__ __forceinline__ void read_row_scales(const ManyRows& p, ResultScales<kTokens>& to) {
  if (threadIdx.x >= kManyRows) return;
  const int32_t n =
      min(static_cast<int32_t>(blockIdx.x) * kManyRows + static_cast<int32_t>(threadIdx.x), p.weight.outputs - 1);
  to.row[threadIdx.x] = has_row_scales(kKind) ? p.weight.rows[n] : 1.0f;
  to.bias[threadIdx.x] = p.out.bias != nullptr ? p.out.bias[n] : 0.0f;
  const int part = part_of(p.out, n);
  const Numbers& out = p.out.part[part];
  float inverse = 0;
  if (out.dtype == DType::kI8) {
    const float s = scale_of(out, 0, n - p.out.begin[part]);
    inverse = s == 0.0f ? 0.0f : s < 0x1p-60f ? __int_as_float(0x7fffffff) : __fdiv_rn(1.0f, s);
  }
  to.inverse[threadIdx.x] = inverse;
}
template <WeightKind kKind, int kTokens>
__device__ __forceinline__ void read_token_scales(const ManyRows& p, ResultScales<kTokens>& to) {
  if (threadIdx.x >= kTokens) return;
  const int32_t token =
      min(static_cast<int32_t>(blockIdx.y) * kTokens + static_cast<int32_t>(threadIdx.x), p.tokens - 1);
  to.token[threadIdx.x] = multiplies_codes(kKind) ? scale_of(p.x, token, 0) : p.up[token];
}

// Where four neighbouring weight rows go.
struct ResultTarget {
  char* data;      // of the first token
  int64_t stride;  // bytes a token
  int part;
  bool together, floats;  // codes or f32 that leave in one word
};
__device__ __forceinline__ ResultTarget result_target(const ManyRows& p, int32_t n, const float* inverse) {
  const int part = part_of(p.out, n);
  const Numbers& out = p.out.part[part];
  const int32_t column = n - p.out.begin[part];
  const int size = out.dtype == DType::kF32 ? 4 : 1;
  ResultTarget r = {static_cast<char*>(out.data) + static_cast<int64_t>(column) * size,
                    static_cast<int64_t>(out.stride) * size, part, false, out.dtype == DType::kF32};
  r.together = (out.dtype == DType::kI8 || out.dtype == DType::kF32) && n + 4 <= p.out.begin[part + 1] &&
               (static_cast<int64_t>(out.stride) | column) % 4 == 0 &&
               reinterpret_cast<int64_t>(out.data) % (4 * size) == 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) r.together = r.together && inverse[i] == inverse[i];
  return r;
}
__device__ __forceinline__ void store_four(const ManyRows& p, const ResultTarget& r, int32_t n, int32_t token,
                                           const float (&y)[4], const float4& inverse) {
  if (r.together) {
    char* to = r.data + token * r.stride;
    if (r.floats) {
      *reinterpret_cast<float4*>(to) = make_float4(y[0], y[1], y[2], y[3]);
    } else {
      const int code[4] = {__float2int_rn(y[0] * inverse.x), __float2int_rn(y[1] * inverse.y),
                           __float2int_rn(y[2] * inverse.z), __float2int_rn(y[3] * inverse.w)};
      *reinterpret_cast<uint32_t*>(to) = pack_codes(code);
    }
    return;
  }
  int part = r.part;
  for (int i = 0; i < 4 && n + i < p.weight.outputs; ++i) {
    while (n + i >= p.out.begin[part + 1]) ++part;
    store_number(p.out.part[part], token, n + i - p.out.begin[part], y[i]);
  }
}

// Sums of four neighbouring weight rows; those of a split K are whole numbers that lie in the cluster's blocks.
template <bool kSplit>
__device__ __forceinline__ float4 four_sums(const ManyRows& p, const float* at) {
  if constexpr (!kSplit) return *reinterpret_cast<const float4*>(at);
  int4 part[8], sum = make_int4(0, 0, 0, 0);
#pragma unroll
  for (int rank = 0; rank < 8; ++rank) {  // all are asked for before the first is added
    if (rank < p.splits) part[rank] = cluster_load(at, rank);
  }
#pragma unroll
  for (int rank = 0; rank < 8; ++rank) {
    if (rank < p.splits) sum.x += part[rank].x, sum.y += part[rank].y, sum.z += part[rank].z, sum.w += part[rank].w;
  }
  return make_float4(static_cast<float>(sum.x), static_cast<float>(sum.y), static_cast<float>(sum.z),
                     static_cast<float>(sum.w));
}

// Results [kTokens][kResultStride] in shared memory to their parts: lanes have four neighbouring weight rows of every eighth
// token; the blocks of a cluster share a warp's tokens out.
template <bool kSplit, int kTokens>
__device__ __forceinline__ void store_results(const ManyRows& p, const float* results, const float* row_scale,
                                              const float* bias, const float* inverse, const float* token_scale,
                                              int32_t first_token, int tokens) {
  constexpr int kEach = kTokens / 8;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int32_t n = blockIdx.x * kManyRows + lane * 4;
  if (tokens <= 0 || n >= p.weight.outputs) return;
  const float4 scale = *reinterpret_cast<const float4*>(row_scale + lane * 4);
  const float4 more = *reinterpret_cast<const float4*>(bias + lane * 4);
  const ResultTarget target = result_target(p, n, inverse + lane * 4);
  const float4 steps = *reinterpret_cast<const float4*>(inverse + lane * 4);
  const int rank = kSplit ? static_cast<int>(blockIdx.z) : 0, splits = kSplit ? p.splits : 1;
  const int begin = kEach * rank / splits, end = kEach * (rank + 1) / splits;
  constexpr int kBatch = kSplit ? 1 : 4;  // tokens whose sums are read together
  for (int first = begin; first < end; first += kBatch) {
    float4 sums[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      sums[i] = four_sums<kSplit>(p, results + (warp + (first + i) * 8) * kResultStride + lane * 4);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int t = warp + (first + i) * 8;
      if (t >= tokens) return;
      const float x_scale = token_scale[t];
      const float y[4] = {fmaf(sums[i].x * x_scale, scale.x, more.x), fmaf(sums[i].y * x_scale, scale.y, more.y),
                          fmaf(sums[i].z * x_scale, scale.z, more.z), fmaf(sums[i].w * x_scale, scale.w, more.w)};
      store_four(p, target, n, first_token + t, y, steps);
    }
  }
}

#endif

}  // namespace quamba2::cuda
