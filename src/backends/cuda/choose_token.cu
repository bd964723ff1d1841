// SPDX-License-Identifier: Apache-2.0
// choose_token of greedy rules, and follow_tokens. A row is cut into parts, a block each; the blocks of a row are a cluster.
#include "backends/cuda/choose_token.cuh"
#include "backends/cuda/choose_token_math.h"
#include "backends/cuda/choose_token_rows.h"
#include "backends/cuda/device/barrier.cuh"
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/warp.cuh"

namespace quamba2 {
namespace cuda {
namespace {

constexpr int kThreads = 512;

__device__ __forceinline__ uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

__device__ __forceinline__ uint64_t warp_largest(uint64_t v) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) v = larger(v, __shfl_xor_sync(kAllLanes, v, d));
  return v;
}

// Of this thread's logits among those of ids from `begin` to `end`, four at a time where all rows begin on 16 bytes.
template <bool kFours>
__device__ __forceinline__ uint64_t largest_here(const float* logits, int32_t begin, int32_t end) {
  uint64_t best = 0;
  const int32_t fours = kFours ? begin + (end - begin) / 4 * 4 : begin;
  if constexpr (kFours) {
#pragma unroll 4
    for (int32_t i = begin + static_cast<int32_t>(threadIdx.x) * 4; i < fours; i += kThreads * 4) {
      const float4 f = *reinterpret_cast<const float4*>(logits + i);
      best = larger(best,
                    larger(larger(ranked(f.x, i), ranked(f.y, i + 1)), larger(ranked(f.z, i + 2), ranked(f.w, i + 3))));
    }
  }
  for (int32_t i = fours + static_cast<int32_t>(threadIdx.x); i < end; i += kThreads)
    best = larger(best, ranked(logits[i], i));
  return best;
}

// The largest of all blocks of a cluster, for one thread of its first block.
template <int kParts>
__device__ __forceinline__ uint64_t largest_of_parts(int4* shared, uint64_t best) {
#if __CUDA_ARCH__ >= 900
  if constexpr (kParts > 1) {
    if (threadIdx.x == 0) *shared = make_int4(static_cast<int>(best), static_cast<int>(best >> 32), 0, 0);
    cluster_barrier();
    if (blockIdx.z == 0 && threadIdx.x == 0) {
      for (int part = 1; part < kParts; ++part) {
        const int4 v = cluster_load(shared, part);
        best = larger(best, static_cast<uint64_t>(static_cast<uint32_t>(v.y)) << 32 | static_cast<uint32_t>(v.x));
      }
    }
    cluster_barrier();  // nobody ends while it is read
  }
#endif
  return best;
}

template <int kParts, bool kFours>
__global__ void __launch_bounds__(kThreads) choose_token_greedy(const __grid_constant__ ChoiceRows rows) {
  __shared__ uint64_t of_warps[kThreads / 32];
  __shared__ int4 of_block;
  let_next_start();
  wait_for_previous();
  const int32_t row = static_cast<int32_t>(blockIdx.x);
  const TokenRule& rule = rows.rules[row];
  if (rule.temperature != 0) return;  // all blocks of the cluster
  const int32_t part = (rule.vocabulary + 4 * kParts - 1) / (4 * kParts) * 4;
  const int32_t begin = min(static_cast<int32_t>(blockIdx.z) * part, rule.vocabulary);
  uint64_t best = largest_here<kFours>(rows.logits + row * rows.stride, begin, min(begin + part, rule.vocabulary));
  best = warp_largest(best);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x < 32) best = warp_largest(threadIdx.x < kThreads / 32 ? of_warps[threadIdx.x] : 0);
  best = largest_of_parts<kParts>(&of_block, best);
  if (blockIdx.z == 0 && threadIdx.x == 0) tell_choice(rows, row, best);
}

__global__ void follow_tokens(int32_t* ids, const int32_t* chosen, int32_t count) {
  let_next_start();
  wait_for_previous();
  const int32_t t = static_cast<int32_t>(blockIdx.x * kThreads + threadIdx.x);
  if (t < count && ids[t] < 0) ids[t] = max(chosen[-1 - ids[t]], 0);
}

Verdict supports_choose_token(const ChooseTokenArgs& args) {
  return {args.logits.values.dtype == DType::kF32 && args.logits.format.levels == 0 ? nullptr : "needs f32 logits"};
}

template <int kParts, bool kFours>
void launch_greedy(const ChoiceRows& rows, int32_t count, const Stream& stream) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(count), 1, kParts);
  shape.block = dim3(kThreads);
  shape.cluster = kParts;
  launch(choose_token_greedy<kParts, kFours>, shape, stream, rows);
}

void run_choose_token(const ChooseTokenArgs& args, const Stream& stream) {
  const ChoiceRows rows = choice_rows(args);
  const int32_t count = args.chosen.dim[0];
  if (args.draws) launch_choose_token_draw(rows, count, stream);
  const bool fours = reinterpret_cast<uintptr_t>(rows.logits) % 16 == 0 && rows.stride % 4 == 0;
  const bool parts = compute_capability() >= 90 && count <= multiprocessors() / 2;
  if (parts) return fours ? launch_greedy<8, true>(rows, count, stream) : launch_greedy<8, false>(rows, count, stream);
  return fours ? launch_greedy<1, true>(rows, count, stream) : launch_greedy<1, false>(rows, count, stream);
}

Verdict supports_follow_tokens(const FollowTokensArgs&) { return {}; }

void run_follow_tokens(const FollowTokensArgs& args, const Stream& stream) {
  const int32_t count = args.ids.dim[0];
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((count + kThreads - 1) / kThreads));
  shape.block = dim3(kThreads);
  launch(follow_tokens, shape, stream, static_cast<int32_t*>(args.ids.data),
         static_cast<const int32_t*>(args.chosen.data), count);
}

constexpr Kernel<ChooseTokenArgs> kChooseToken[] = {{"choose_token", supports_choose_token, run_choose_token}};
constexpr Kernel<FollowTokensArgs> kFollowTokens[] = {{"follow_tokens", supports_follow_tokens, run_follow_tokens}};

}  // namespace
}  // namespace cuda

KernelRows<ChooseTokenArgs> cuda_choose_token_rows() { return {cuda::kChooseToken, 1}; }
KernelRows<FollowTokensArgs> cuda_follow_tokens_rows() { return {cuda::kFollowTokens, 1}; }

}  // namespace quamba2
