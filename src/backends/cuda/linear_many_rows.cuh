// SPDX-License-Identifier: Apache-2.0
// linear for many tokens on sm_90a. First the activations are re-laid (tile_rows). Then a block multiplies 128 weight rows by
// kTokens tokens: a producer thread copies blocks of 128 bytes along K into a ring in shared memory, two groups of four warps
// turn the weights of 64 rows each into fragments in registers and multiply them by the tokens.
//
//        weights (fragments, registers)        tokens [kTokens, 128 bytes] (shared memory)
//   rows 0 .. 63    group 0: warp w has band w        ring of stages:  [ x | codes ] [ x | codes ] ...
//   rows 64 .. 127  group 1: the same                 full: copies have arrived    empty: products have read
//
// Weights and their scales are asked for before the kernel that writes x has ended. Up to 64 tokens, which memory bounds, two
// blocks share a multiprocessor. Float activations are rounded to f16 (bf16 for bf16 weights) under a power of two a row, and
// i4 weights to f16 after their scale: docs/numerics.md, "Tensor cores".
#pragma once

#include "backends/cuda/device/wgmma.cuh"
#include "backends/cuda/linear_many_ring.cuh"

namespace quamba2::cuda {

// Whether parts of K may be multiplied apart: sums of whole numbers are the same in any order.
template <WeightKind kKind>
constexpr bool splits_inner() {
  return kKind == WeightKind::kI8 || kKind == WeightKind::kI4Ratio;
}
// Codes whose sums over a group are multiplied by its scale.
template <WeightKind kKind>
constexpr bool sums_groups() {
  return multiplies_codes(kKind) && Fragments<kKind>::kSum;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Registers of one tile of weights: its products' fragments.
template <WeightKind kKind>
__device__ __forceinline__ void tile_fragments(const char* codes, uint32_t scales, uint32_t (*a)[4]) {
  using F = Fragments<kKind>;
  const int lane = threadIdx.x % 32;
  WeightTile t;
  t.words = *reinterpret_cast<const uint4*>(codes + lane * 16);
  if constexpr (is_six(kKind)) t.high = *reinterpret_cast<const uint2*>(codes + 512 + lane * 8);
  t.scales = scales;
#pragma unroll
  for (int s = 0; s < F::kSteps; ++s) {
    uint32_t(&to)[4] = a[s];
    F::registers(t, s, to);
    if constexpr (kKind == WeightKind::kI4Float) {
      const __half2 pair = half2_of(t.scales);
      const __half2 low = __low2half2(pair), high = __high2half2(pair);
#pragma unroll
      for (int r = 0; r < 4; ++r) to[r] = as_bits(__hmul2(half2_of(to[r]), r % 2 ? high : low));
    }
  }
}

template <WeightKind kKind>
struct SumType {
  using Type = float;
};
template <>
struct SumType<WeightKind::kI8> {
  using Type = int;
};
template <>
struct SumType<WeightKind::kI4Ratio> {
  using Type = int;
};

template <WeightKind kKind, class Sums>
__device__ __forceinline__ void multiply_block(Sums& d, const uint32_t (&a)[4], uint64_t b, bool add) {
  if constexpr (multiplies_codes(kKind))
    products_s8(d, a, b, add);
  else if constexpr (kKind == WeightKind::kBF16)
    products_bf16(d, a, b, add);
  else
    products_f16(d, a, b, add);
}

// 128 threads: 64 weight rows times kHalves * kProduct tokens.
template <WeightKind kKind, int kTokens, int kHalves, int kSums>
__device__ __forceinline__ void consume(const ManyBlock<kKind, kTokens>& s, int slot_band,
                                        typename SumType<kKind>::Type (&d)[kHalves][kSums]) {
  using Block = ManyBlock<kKind, kTokens>;
  constexpr int kStages = Block::kStages, kProduct = kTokens / kHalves;
  uint32_t a[2][4][4];
  for (int32_t block = 0; block < s.inner.count; block += 2) {
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      const int32_t now = block + odd;
      if (now < s.inner.count) {
        const int stage = now % kStages;
        wait_barrier(s.shared.full + stage, now / kStages % 2);
        const char* at = s.stages + stage * Block::kStage;
#pragma unroll
        for (int i = 0; i < Block::kTiles; ++i) {
          tile_fragments<kKind>(at + kTokens * 128 + slot_band * Block::kWeight + i * tile_bytes(kKind),
                                s.group_scales(slot_band, now, i), a[odd] + i * Fragments<kKind>::kSteps);
        }
        fence_products();
#pragma unroll
        for (int k = 0; k < 4; ++k) {
#pragma unroll
          for (int h = 0; h < kHalves; ++h) {
            multiply_block<kKind>(d[h], a[odd][k], rows_descriptor(at + h * kProduct * 128 + k * 32), now > 0 || k > 0);
          }
        }
        commit_products();
        wait_products<1>();  // those of the block before
        if (now > 0) arrive(s.shared.empty + (now - 1) % kStages);
      }
    }
  }
  wait_products<0>();
}

// The same where a group's sums of codes are multiplied by its scale and added up in f32: while the products of a tile run,
// the fragments of the next one are made.
template <WeightKind kKind, int kTokens, int kSums>
__device__ __forceinline__ void consume_groups(const ManyBlock<kKind, kTokens>& s, int slot_band, float (&d)[kSums]) {
  using Block = ManyBlock<kKind, kTokens>;
  static_assert(Block::kTiles == 2 && Fragments<kKind>::kSteps == 2);
  constexpr int kStages = Block::kStages;
  int sums[kSums];
#pragma unroll
  for (int i = 0; i < kSums; ++i) d[i] = 0;
  for (int32_t block = 0; block < s.inner.count; ++block) {
    const int stage = block % kStages;
    const char *at = s.stages + stage * Block::kStage, *codes = at + kTokens * 128 + slot_band * Block::kWeight;
    wait_barrier(s.shared.full + stage, block / kStages % 2);
    uint32_t a[2][2][4];
    tile_fragments<kKind>(codes, 0, a[0]);
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
      fence_products();
      multiply_block<kKind>(sums, a[tile][0], rows_descriptor(at + tile * 64), false);
      multiply_block<kKind>(sums, a[tile][1], rows_descriptor(at + tile * 64 + 32), true);
      commit_products();
      if (tile == 0) tile_fragments<kKind>(codes + tile_bytes(kKind), 0, a[1]);
      const float2 scales = __half22float2(half2_of(s.group_scales(slot_band, block, tile)));
      const float low = scales.x * Fragments<kKind>::kUnit, high = scales.y * Fragments<kKind>::kUnit;
      wait_products<0>();
#pragma unroll
      for (int i = 0; i < kSums; ++i) {
        asm volatile("" : "+r"(sums[i])::"memory");  // not read before the products have ended
        d[i] = fmaf(static_cast<float>(sums[i]), i % 4 < 2 ? low : high, d[i]);
      }
    }
    arrive(s.shared.empty + stage);
  }
}

#endif

template <WeightKind kKind, int kTokens, bool kSplit>
__global__ void __launch_bounds__(384, kTokens <= 64 ? 2 : 1) linear_many_rows(const __grid_constant__ ManyRows p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ uint4 shared_memory[];
  char* stages = reinterpret_cast<char*>(shared_memory) + (1024 - shared_address(shared_memory) % 1024) % 1024;
  auto& shared = *reinterpret_cast<ManyShared<kKind, kTokens>*>(stages + many_ring_bytes<kKind, kTokens>());
  uint32_t* groups = reinterpret_cast<uint32_t*>(&shared + 1);
  using Block = ManyBlock<kKind, kTokens>;
  const Block block = {p, inner_range<kKind, kSplit>(p), stages, groups, shared};
  if (threadIdx.x == 0) {
    for (int i = 0; i < Block::kStages; ++i) init_barrier(shared.full + i, 1), init_barrier(shared.empty + i, 256);
    init_barrier(&shared.groups, 1);
    publish_barriers();
  }
  __syncthreads();
  let_next_start();
  constexpr int kHalves = kTokens > 128 ? kTokens / 128 : 1, kProduct = kTokens / kHalves;
  const int group = threadIdx.x / 128;
  if (group == 2) {
    fewer_registers<(kTokens > 64 ? 40 : 32)>();
    if (threadIdx.x == 256) produce(block);
  } else {
    more_registers<(kTokens > 64 ? 232 : 104)>();
    read_row_scales<kKind>(p, shared.scales);
    wait_for_previous();
    read_token_scales<kKind>(p, shared.scales);
    const int warp = threadIdx.x % 128 / 32, g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
    typename SumType<kKind>::Type d[kHalves][kProduct / 2];
    if constexpr (has_groups(kKind)) wait_barrier(&shared.groups, 0);
    if constexpr (sums_groups<kKind>())
      consume_groups<kKind, kTokens>(block, group * 4 + warp, d[0]);
    else
      consume<kKind, kTokens>(block, group * 4 + warp, d);
    // Results pass through shared memory, kProduct tokens at a time.
    float* results = reinterpret_cast<float*>(stages);
    const int32_t first_token = blockIdx.y * kTokens;
#pragma unroll
    for (int h = 0; h < kHalves; ++h) {
      asm volatile("bar.sync 1, 256;" ::: "memory");
#pragma unroll
      for (int i = 0; i < kProduct / 2; ++i) {
        const int row = group * 64 + warp * 16 + i % 4 / 2 * 8 + g, token = i / 4 * 8 + 2 * q + i % 2;
        results[token * kResultStride + row] =
            kSplit ? __int_as_float(static_cast<int>(d[h][i])) : static_cast<float>(d[h][i]);
      }
      asm volatile("bar.sync 1, 256;" ::: "memory");
      if constexpr (kSplit) cluster_barrier();
      const int32_t begin = h * kProduct;
      store_results<kSplit, kProduct>(p, results, shared.scales.row, shared.scales.bias, shared.scales.inverse,
                                      shared.scales.token + begin, first_token + begin,
                                      min(kProduct, p.tokens - first_token - begin));
    }
    if constexpr (kSplit) cluster_barrier();  // others still read what lies here
  }
#else
  __trap();  // run_linear asks for compute capability 9.0
#endif
}

template <WeightKind kKind>
constexpr bool has_many_rows() {
  return kKind == WeightKind::kI8 || kKind == WeightKind::kI4Ratio || kKind == WeightKind::kI6 ||
         kKind == WeightKind::kI4Float || kKind == WeightKind::kBF16 || kKind == WeightKind::kF16 ||
         kKind == WeightKind::kI8Float;
}

inline int32_t padded_tokens_of(int32_t tokens) { return (tokens + kManyTokens - 1) / kManyTokens * kManyTokens; }

template <WeightKind kKind>
bool takes_many_rows(const LinearLayout& layout, int32_t tokens) {
  return has_many_rows<kKind>() && tokens > most_few_tokens(kKind) && layout.groups <= kMostManyGroups;
}

template <WeightKind kKind>
size_t many_rows_scratch(const LinearArgs& args, int32_t) {
  const int32_t tokens = args.x.values.dim[0];
  if (!takes_many_rows<kKind>(layout_of(args, kKind), tokens)) return 0;
  const int64_t padded = padded_tokens_of(tokens);
  return static_cast<size_t>(padded * (128 * many_block_count(kKind, args.weight.values.dim[1]) + 4));
}

template <WeightKind kKind, int kTokens, bool kSplit>
void launch_many_rows(const ManyRows& p, const Stream& stream) {
  static_assert((kTokens < 128 ? kTokens : 128) * kResultStride * 4 <= many_ring_bytes<kKind, kTokens>(),
                "results must fit the ring");
  const dim3 grid((p.weight.outputs + kManyRows - 1) / kManyRows, (p.tokens + kTokens - 1) / kTokens, p.splits);
  const int shared = many_shared_bytes<kKind, kTokens>() + kManyRows / kBandRows * p.group_stride * 32;
  launch(linear_many_rows<kKind, kTokens, kSplit>, {grid, dim3(384), static_cast<size_t>(shared), grid.z}, stream, p);
}

template <WeightKind kKind, int kTokens>
void split_many_rows(ManyRows p, const Stream& stream) {
  if constexpr (splits_inner<kKind>()) {
    const int32_t tiles = many_tiles(p.weight.outputs, p.tokens, kTokens);
    p.splits = many_splits(tiles, p.blocks, multiprocessors(), kTokens <= 64 ? 2 : 1);
    if (p.splits > 1) {
      p.group_stride = many_groups_of_split(p.weight.group_count, p.splits);
      return launch_many_rows<kKind, kTokens, true>(p, stream);
    }
  }
  launch_many_rows<kKind, kTokens, false>(p, stream);
}

template <WeightKind kKind>
void run_many_rows(const LinearArgs& args, const Stream& stream) {
  const LinearLayout layout = layout_of(args, kKind);
  ManyRows p;
  p.weight = prepared_weight(args.prepared, layout);
  p.x = numbers_of(args.x);
  p.out = parts_of(args);
  p.tokens = args.x.values.dim[0];
  p.padded_tokens = padded_tokens_of(p.tokens);
  p.blocks = static_cast<int32_t>(many_block_count(kKind, layout.inner));
  p.splits = 1, p.group_stride = layout.groups;
  float* up = reinterpret_cast<float*>(stream.scratch);
  char* tiled = stream.scratch + static_cast<int64_t>(p.padded_tokens) * 4;
  p.tokens_tiled = tiled, p.up = up;
  const TileRows rows = {p.x, tiled, up, p.tokens, p.padded_tokens, layout.inner, p.blocks};
  launch(tile_rows<kKind>, {dim3(p.tokens), dim3(256)}, stream, rows);
  if (p.tokens <= 64 || sums_groups<kKind>()) return split_many_rows<kKind, 64>(p, stream);
  if constexpr (!sums_groups<kKind>()) {
    if (many_token_tile(layout.outputs, p.tokens, multiprocessors()) == 256)
      return launch_many_rows<kKind, 256, false>(p, stream);
    split_many_rows<kKind, 128>(p, stream);
  }
}

template <WeightKind kKind>
void run_linear(const LinearArgs& args, const Stream& stream) {
  if (compute_capability() == 90 && takes_many_rows<kKind>(layout_of(args, kKind), args.x.values.dim[0]))
    return run_many_rows<kKind>(args, stream);
  run_few_rows<kKind>(args, stream);
}

template <WeightKind kKind>
constexpr Kernel<LinearArgs> linear_row(const char* name) {
  return {name,           supports_few_rows<kKind>, run_linear<kKind>, many_rows_scratch<kKind>, prepared_bytes<kKind>,
          prepare<kKind>, read_row<kKind>};
}

}  // namespace quamba2::cuda
