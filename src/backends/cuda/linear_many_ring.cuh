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
// Whether blocks re-lay tokens themselves.
template <WeightKind kKind, int kTokens>
constexpr bool relays_rows() {
  return multiplies_codes(kKind) && kTokens == 64;
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

// A warp asks for weights, a lane a band: one thread alone takes longer to name the copies of a block than these take.
template <WeightKind kKind, int kTokens>
struct WeightAsker {
  using Block = ManyBlock<kKind, kTokens>;
  const Block& s;
  const char* codes;  // of this lane's band, from the range's first block of K
  bool has_band;

  __device__ __forceinline__ explicit WeightAsker(const Block& block)
      : s(block), codes(nullptr), has_band(static_cast<int>(threadIdx.x) % 32 < Block::kBands) {
    const PreparedWeight& w = s.p.weight;
    const int64_t tile = static_cast<int64_t>(s.band(threadIdx.x % 32 % Block::kBands)) * w.k_tiles;
    codes = w.codes + (tile + s.inner.begin * Block::kTiles) * tile_bytes(kKind);
  }
  // `token_bytes`: of copies of tokens that come with them.
  __device__ __forceinline__ void ask(int32_t block, int32_t token_bytes) const {
    const int lane = threadIdx.x % 32, stage = block % Block::kStages;
    if (lane == 0) arrive_expecting(s.shared.full + stage, Block::kBands * Block::kWeight + token_bytes);
    __syncwarp();
    if (!has_band) return;
    copy_bulk(s.stages + stage * Block::kStage + kTokens * 128 + lane * Block::kWeight,
              codes + static_cast<int64_t>(block) * Block::kWeight, Block::kWeight, s.shared.full + stage);
  }
  __device__ __forceinline__ void ask_group_scales() const {
    if constexpr (!has_groups(kKind)) return;
    const int lane = threadIdx.x % 32;
    if (lane == 0) arrive_expecting(&s.shared.groups, Block::kBands * s.inner.groups * 32);
    __syncwarp();
    if (!has_band) return;
    const int64_t group = static_cast<int64_t>(s.band(lane)) * s.p.weight.group_count + s.inner.first_group;
    copy_bulk(s.groups + lane * s.p.group_stride * 8, s.p.weight.groups + group * 8, s.inner.groups * 32,
              &s.shared.groups);
  }
};

// One warp, with tokens that tile_rows has left. Rows of no token are not copied: their sums are not stored.
template <WeightKind kKind, int kTokens>
__device__ __forceinline__ void produce_tiled(const ManyBlock<kKind, kTokens>& s) {
  using Block = ManyBlock<kKind, kTokens>;
  constexpr int kStages = Block::kStages;
  const ManyRows& p = s.p;
  const WeightAsker<kKind, kTokens> weights(s);
  const int32_t first_token = static_cast<int32_t>(blockIdx.y) * kTokens;
  const char* x = p.tokens_tiled + (static_cast<int64_t>(s.inner.begin) * p.padded_tokens + first_token) * 128;
  const int32_t x_bytes = min(kTokens, p.tokens - first_token) * 128;
  const auto ask_tokens = [&](int32_t block) {
    if (threadIdx.x % 32 != 0) return;
    const int stage = block % kStages;
    copy_bulk(s.stages + stage * Block::kStage, x + static_cast<int64_t>(block) * p.padded_tokens * 128, x_bytes,
              s.shared.full + stage);
  };
  const int32_t early = min(kStages, s.inner.count);
  for (int32_t block = 0; block < early; ++block) weights.ask(block, x_bytes);
  weights.ask_group_scales();
  wait_for_previous();
  for (int32_t block = 0; block < early; ++block) ask_tokens(block);
  for (int32_t block = early; block < s.inner.count; ++block) {
    wait_barrier(s.shared.empty + block % kStages, (block / kStages - 1) % 2);
    weights.ask(block, x_bytes);
    ask_tokens(block);
  }
}

// 64 of a token's codes into the order of linear_layout.h, where they are.
template <WeightKind kKind>
__device__ __forceinline__ void relay_codes(uint4 (&v)[4]) {
  if constexpr (kKind == WeightKind::kI8) {
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      const uint4 a = v[i], b = v[i + 1];
      v[i] = make_uint4(a.x, a.z, b.x, b.z), v[i + 1] = make_uint4(a.y, a.w, b.y, b.w);
    }
  } else {
    const uint4 a = v[0], b = v[1], c = v[2], d = v[3];
    v[0] = make_uint4(a.x, b.x, c.x, d.x), v[1] = make_uint4(a.y, b.y, c.y, d.y);
    v[2] = make_uint4(a.z, b.z, c.z, d.z), v[3] = make_uint4(a.w, b.w, c.w, d.w);
  }
}

// 128 threads, with codes as they lie: a thread re-lays 64 codes of a token a block of K, which it reads a block ahead.
template <WeightKind kKind>
__device__ __forceinline__ void produce_rows(const ManyBlock<kKind, 64>& s) {
  using Block = ManyBlock<kKind, 64>;
  constexpr int kStages = Block::kStages;
  const ManyRows& p = s.p;
  const int thread = threadIdx.x % 128, row = thread / 2, half = thread % 2;
  const int32_t early = min(kStages, s.inner.count), token = static_cast<int32_t>(blockIdx.y) * 64 + row;
  const WeightAsker<kKind, 64> weights(s);
  if (thread < 32) {
    for (int32_t block = 0; block < early; ++block) weights.ask(block, 0);
    weights.ask_group_scales();
  }
  wait_for_previous();
  // What is read next, and how many columns are left from there; of no token: none.
  const int32_t first_column = s.inner.begin * 128 + half * 64;
  const char* from = static_cast<const char*>(p.x.data) + static_cast<int64_t>(token) * p.x.stride + first_column;
  int32_t left = token < p.tokens ? min(p.weight.inner - first_column, s.inner.count * 128 - half * 64) : 0;
  const auto load = [&](uint4(&v)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      v[i] = make_uint4(0, 0, 0, 0);
      if (i * 16 < left) v[i] = *reinterpret_cast<const uint4*>(from + i * 16);
    }
    from += 128, left -= 128;
  };
  uint4 held[4];
  load(held);
  for (int32_t block = 0; block < s.inner.count; ++block) {
    const int32_t stage = block % kStages;
    if (block >= early) {
      wait_barrier(s.shared.empty + stage, (block / kStages - 1) % 2);
      if (thread < 32) weights.ask(block, 0);
    }
    relay_codes<kKind>(held);
    char* to = s.stages + stage * Block::kStage + row * 128;
#pragma unroll
    for (int i = 0; i < 4; ++i) *reinterpret_cast<uint4*>(to + ((half * 4 + i) ^ row % 8) * 16) = held[i];
    load(held);
    show_to_copies();
    arrive(s.shared.full + stage);
  }
}

#endif

}  // namespace quamba2::cuda
