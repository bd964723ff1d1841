// SPDX-License-Identifier: Apache-2.0
// The ring in shared memory of linear_many_rows, and who fills it: blocks of 128 bytes along K, each the tokens' numbers and
// the fragments of 128 weight rows, as many on their way as there are stages.
#pragma once

#include "backends/cuda/linear_many_results.cuh"

namespace quamba2::cuda {

template <WeightKind kKind>
constexpr int many_weight_bytes() {  // of a band, a block of K
  return block_columns(kKind) / tile_columns(kKind) * tile_bytes(kKind);
}
template <WeightKind kKind, int kTokens>
constexpr int many_stage_bytes() {
  return kTokens * 128 + kManyRows / kBandRows * many_weight_bytes<kKind>();
}
template <WeightKind kKind, int kTokens>
constexpr int many_stages() {
  if (kTokens > 64) return 4;
  constexpr int kFit = 96 * 1024 / many_stage_bytes<kKind, kTokens>();  // twice on a multiprocessor
  return kFit < 8 ? kFit : 8;
}
template <WeightKind kKind, int kTokens>
struct alignas(16) ManyShared {  // behind the ring and the group scales
  ResultScales<kTokens> scales;
  uint64_t full[many_stages<kKind, kTokens>()], empty[many_stages<kKind, kTokens>()], groups;
};
template <WeightKind kKind, int kTokens>
constexpr int many_ring_bytes() {
  return many_stages<kKind, kTokens>() * many_stage_bytes<kKind, kTokens>();
}
template <WeightKind kKind, int kTokens>
constexpr int many_shared_bytes() {  // without group scales
  return 1024 + many_ring_bytes<kKind, kTokens>() + static_cast<int>(sizeof(ManyShared<kKind, kTokens>));
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// What a block of threads multiplies: blocks of K, and the groups of scales that these have.
struct InnerRange {
  int32_t begin, count, first_group, groups;
};
template <WeightKind kKind, bool kSplit>
__device__ __forceinline__ InnerRange inner_range(const ManyRows& p) {
  InnerRange r = {0, p.blocks, 0, p.weight.group_count};
  if constexpr (!kSplit) return r;
  const int32_t rank = static_cast<int32_t>(blockIdx.z);
  r.begin = p.blocks * rank / p.splits, r.count = p.blocks * (rank + 1) / p.splits - r.begin;
  if constexpr (has_groups(kKind)) {
    constexpr int kTiles = block_columns(kKind) / tile_columns(kKind);
    r.first_group = min((r.begin * kTiles) >> p.weight.group_shift, p.weight.group_count - 1);
    const int32_t last = ((r.begin + r.count) * kTiles - 1) >> p.weight.group_shift;
    r.groups = min(last, p.weight.group_count - 1) - r.first_group + 1;
  }
  return r;
}

// A block's view of its shared memory.
template <WeightKind kKind, int kTokens>
struct ManyBlock {
  const ManyRows& p;
  InnerRange inner;
  char* stages;
  uint32_t* groups;  // [bands][p.group_stride][8]
  ManyShared<kKind, kTokens>& shared;

  static constexpr int kStages = many_stages<kKind, kTokens>(), kStage = many_stage_bytes<kKind, kTokens>();
  static constexpr int kTiles = block_columns(kKind) / tile_columns(kKind);
  static constexpr int kBands = kManyRows / kBandRows, kWeight = many_weight_bytes<kKind>();

  __device__ __forceinline__ int32_t band(int slot) const {
    return min(static_cast<int32_t>(blockIdx.x) * kBands + slot, p.weight.bands - 1);
  }
  // The scales of rows g and g + 8 of a band, of a tile of block `block` of the range.
  __device__ __forceinline__ uint32_t group_scales(int slot, int32_t block, int tile) const {
    if constexpr (!has_groups(kKind)) return 0;
    const int32_t group =
        min(((inner.begin + block) * kTiles + tile) >> p.weight.group_shift, p.weight.group_count - 1);
    return groups[(slot * p.group_stride + group - inner.first_group) * 8 + threadIdx.x % 32 / 4];
  }
};

// One thread: the weights of a block of K, and the bytes of tokens that are announced with them.
template <WeightKind kKind, int kTokens>
__device__ __forceinline__ void ask_weights(const ManyBlock<kKind, kTokens>& s, int32_t block, int32_t token_bytes) {
  using Block = ManyBlock<kKind, kTokens>;
  const int stage = block % Block::kStages;
  char* at = s.stages + stage * Block::kStage + kTokens * 128;
  arrive_expecting(s.shared.full + stage, Block::kBands * Block::kWeight + token_bytes);
  for (int b = 0; b < Block::kBands; ++b) {
    const int64_t tile = static_cast<int64_t>(s.band(b)) * s.p.weight.k_tiles + (s.inner.begin + block) * Block::kTiles;
    copy_bulk(at + b * Block::kWeight, s.p.weight.codes + tile * tile_bytes(kKind), Block::kWeight,
              s.shared.full + stage);
  }
}
template <WeightKind kKind, int kTokens>
__device__ __forceinline__ void ask_group_scales(const ManyBlock<kKind, kTokens>& s) {
  if constexpr (!has_groups(kKind)) return;
  using Block = ManyBlock<kKind, kTokens>;
  arrive_expecting(&s.shared.groups, Block::kBands * s.inner.groups * 32);
  for (int b = 0; b < Block::kBands; ++b) {
    const int64_t group = static_cast<int64_t>(s.band(b)) * s.p.weight.group_count + s.inner.first_group;
    copy_bulk(s.groups + b * s.p.group_stride * 8, s.p.weight.groups + group * 8, s.inner.groups * 32,
              &s.shared.groups);
  }
}

// One thread, with tokens that tile_rows has left. Rows of no token are not copied: their sums are not stored.
template <WeightKind kKind, int kTokens>
__device__ __forceinline__ void produce(const ManyBlock<kKind, kTokens>& s) {
  using Block = ManyBlock<kKind, kTokens>;
  constexpr int kStages = Block::kStages;
  const ManyRows& p = s.p;
  const int32_t first_token = static_cast<int32_t>(blockIdx.y) * kTokens;
  const char* x = p.tokens_tiled + static_cast<int64_t>(first_token) * 128;
  const int32_t x_bytes = min(kTokens, p.tokens - first_token) * 128;
  const auto ask_tokens = [&](int32_t block) {
    const int stage = block % kStages;
    copy_bulk(s.stages + stage * Block::kStage, x + static_cast<int64_t>(s.inner.begin + block) * p.padded_tokens * 128,
              x_bytes, s.shared.full + stage);
  };
  const int32_t early = min(kStages, s.inner.count);
  for (int32_t block = 0; block < early; ++block) ask_weights(s, block, x_bytes);
  ask_group_scales(s);
  wait_for_previous();
  for (int32_t block = 0; block < early; ++block) ask_tokens(block);
  for (int32_t block = early; block < s.inner.count; ++block) {
    wait_barrier(s.shared.empty + block % kStages, (block / kStages - 1) % 2);
    ask_weights(s, block, x_bytes);
    ask_tokens(block);
  }
}

#endif

}  // namespace quamba2::cuda
