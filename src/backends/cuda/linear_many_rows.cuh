// SPDX-License-Identifier: Apache-2.0
// linear for many tokens on sm_90a. First the activations are re-laid (tile_rows). Then a block multiplies 128 weight rows by
// kTokens tokens: a producer thread copies blocks of 128 bytes along K into a ring in shared memory, two groups of four warps
// turn the weights of 64 rows each into fragments in registers and multiply them by the tokens.
//
//        weights (fragments, registers)        tokens [kTokens, 128 bytes] (shared memory)
//   rows 0 .. 63    group 0: warp w has band w        ring of kStages:  [ x | codes ] [ x | codes ] ...
//   rows 64 .. 127  group 1: the same                 fuller: copies have arrived    emptier: products have read
//
// Float activations are rounded to f16 (bf16 for bf16 weights) under a power of two a row, and i4 weights to f16 after their
// scale: docs/numerics.md, "Tensor cores".
#pragma once

#include "backends/cuda/device/wgmma.cuh"
#include "backends/cuda/linear_few_rows.cuh"

namespace quamba2::cuda {

struct TileRows {
  Numbers x;
  char* to;
  float* up;  // [tokens]: powers of two that undo those of f16 rows
  int32_t tokens, padded_tokens, inner, blocks;
};

template <WeightKind kKind>
__device__ __forceinline__ uint32_t tile_word(const TileRows& p, int32_t token, int32_t column, float down,
                                              bool words) {
  if constexpr (multiplies_codes(kKind)) {
    const int8_t* row = static_cast<const int8_t*>(p.x.data) + static_cast<int64_t>(token) * p.x.stride;
    if (words && column + 4 <= p.inner) return *reinterpret_cast<const uint32_t*>(row + column);
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (column + i < p.inner) word |= static_cast<uint32_t>(static_cast<uint8_t>(row[column + i])) << (8 * i);
    }
    return word;
  } else {
    float v[2] = {0, 0};
    if (words && column + 2 <= p.inner) {
      const float2 both = *reinterpret_cast<const float2*>(static_cast<const float*>(p.x.data) +
                                                           static_cast<int64_t>(token) * p.x.stride + column);
      v[0] = both.x, v[1] = both.y;
    } else {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if (column + i < p.inner) v[i] = load_number(p.x, token, column + i);
      }
    }
    if constexpr (kKind == WeightKind::kBF16) {
      const __nv_bfloat162 pair = __floats2bfloat162_rn(v[0] * down, v[1] * down);
      return *reinterpret_cast<const uint32_t*>(&pair);
    } else {
      return as_bits(__floats2half2_rn(v[0] * down, v[1] * down));
    }
  }
}

// A block a token.
template <WeightKind kKind>
__global__ void __launch_bounds__(256) tile_rows(const __grid_constant__ TileRows p) {
  __shared__ float shared[33];
  let_next_start();
  wait_for_previous();
  const int32_t token = blockIdx.x;
  const int64_t row_bytes = static_cast<int64_t>(p.x.stride) * (multiplies_codes(kKind) ? 1 : 4);
  const int align = multiplies_codes(kKind) ? 4 : 8;
  const bool words = (multiplies_codes(kKind) || p.x.dtype == DType::kF32) &&
                     (row_bytes | reinterpret_cast<int64_t>(p.x.data)) % align == 0;
  PowerOfTwo power = {1.0f, 1.0f};
  if constexpr (!multiplies_codes(kKind)) {
    float largest = 0;
    for (int32_t k = threadIdx.x; k < p.inner; k += 256) largest = fmaxf(largest, fabsf(load_number(p.x, token, k)));
    power = power_for(block_max(largest, shared));
    if (threadIdx.x == 0) p.up[token] = power.up;
  }
  for (int32_t i = threadIdx.x; i < p.blocks * 8; i += 256) {
    const int piece = i % 8;
    const int32_t block = i / 8, first = block * block_columns(kKind);
    uint32_t w[4];
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      w[q] = tile_word<kKind>(p, token, first + word_column(kKind, piece, q), power.down, words);
    }
    char* row = p.to + (static_cast<int64_t>(block) * p.padded_tokens + token) * 128;
    *reinterpret_cast<uint4*>(row + (piece ^ token % 8) * 16) = make_uint4(w[0], w[1], w[2], w[3]);
  }
}

// Whether parts of K may be multiplied apart: sums of whole numbers are the same in any order.
template <WeightKind kKind>
constexpr bool splits_inner() {
  return kKind == WeightKind::kI8 || kKind == WeightKind::kI4Ratio;
}

struct ManyRows {
  PreparedWeight weight;
  const char* tokens_tiled;
  const float* up;
  Numbers x;
  LinearParts out;
  int32_t tokens, padded_tokens, blocks;
  int32_t splits;  // blocks of a cluster that share a tile of results, each with a part of K
};

constexpr int kManyStages = 4;
constexpr int kManyRows = 128;  // weight rows of a block

template <WeightKind kKind>
constexpr int many_weight_bytes() {  // of a band, a block of K
  return block_columns(kKind) / tile_columns(kKind) * tile_bytes(kKind);
}
template <WeightKind kKind, int kTokens>
constexpr int many_stage_bytes() {
  return kTokens * 128 + kManyRows / kBandRows * many_weight_bytes<kKind>();
}
constexpr int kResultStride = kManyRows + 4;  // floats a token, where results pass through shared memory
template <WeightKind kKind, int kTokens>
constexpr int many_shared_bytes() {
  return 1024 + kManyStages * many_stage_bytes<kKind, kTokens>() + 256;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Registers of one block of K: four products' fragments.
template <WeightKind kKind>
__device__ __forceinline__ void block_fragments(const char* codes, const uint32_t (&scales)[2], uint32_t (&a)[4][4]) {
  using F = Fragments<kKind>;
  constexpr int kTiles = block_columns(kKind) / tile_columns(kKind);
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
    WeightTile t;
    t.words = *reinterpret_cast<const uint4*>(codes + i * tile_bytes(kKind) + lane * 16);
    t.scales = scales[i % 2];
#pragma unroll
    for (int s = 0; s < F::kSteps; ++s) {
      uint32_t(&to)[4] = a[i * F::kSteps + s];
      F::registers(t, s, to);
      if constexpr (kKind == WeightKind::kI4Float) {
        const __half2 pair = half2_of(t.scales);
        const __half2 low = __low2half2(pair), high = __high2half2(pair);
#pragma unroll
        for (int r = 0; r < 4; ++r) to[r] = as_bits(__hmul2(half2_of(to[r]), r % 2 ? high : low));
      }
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

template <WeightKind kKind, class Sum>
__device__ __forceinline__ void multiply_block(Sum (&d)[64], const uint32_t (&a)[4], uint64_t b, bool add) {
  if constexpr (multiplies_codes(kKind))
    products_s8(d, a, b, add);
  else if constexpr (kKind == WeightKind::kBF16)
    products_bf16(d, a, b, add);
  else
    products_f16(d, a, b, add);
}

template <WeightKind kKind>
__device__ __forceinline__ void load_scales(const ManyRows& p, int32_t band, int32_t block, uint32_t (&scales)[2]) {
  if constexpr (has_groups(kKind)) {
    constexpr int kTiles = block_columns(kKind) / tile_columns(kKind);
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      const int32_t group = min((block * kTiles + i) >> p.weight.group_shift, p.weight.group_count - 1);
      scales[i] = __ldg(p.weight.groups + (static_cast<int64_t>(band) * p.weight.group_count + group) * 8 +
                        threadIdx.x % 32 / 4);
    }
  }
}

// The blocks of K that this block of threads multiplies.
struct InnerRange {
  int32_t begin, count;
};
template <bool kSplit>
__device__ __forceinline__ InnerRange inner_range(const ManyRows& p) {
  if constexpr (!kSplit) return {0, p.blocks};
  const int32_t rank = static_cast<int32_t>(blockIdx.z), begin = p.blocks * rank / p.splits;
  return {begin, p.blocks * (rank + 1) / p.splits - begin};
}

// 128 threads: 64 weight rows times kHalves * 128 tokens.
template <WeightKind kKind, int kHalves>
__device__ __forceinline__ void consume(const ManyRows& p, InnerRange inner, int group, char* stages, uint64_t* full,
                                        uint64_t* empty, typename SumType<kKind>::Type (&d)[kHalves][64]) {
  constexpr int kStage = many_stage_bytes<kKind, kHalves * 128>(), kWeight = many_weight_bytes<kKind>();
  const int warp = threadIdx.x % 128 / 32, slot_band = group * 4 + warp;
  const int32_t band = min(static_cast<int32_t>(blockIdx.x) * (kManyRows / kBandRows) + slot_band, p.weight.bands - 1);
  uint32_t a[2][4][4], scales[2] = {0, 0}, next[2] = {0, 0};
  load_scales<kKind>(p, band, inner.begin, scales);
  for (int32_t block = 0; block < inner.count; block += 2) {
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      const int32_t now = block + odd;
      if (now < inner.count) {
        const int stage = now % kManyStages;
        if (now + 1 < inner.count) load_scales<kKind>(p, band, inner.begin + now + 1, next);
        wait_barrier(full + stage, now / kManyStages % 2);
        char* at = stages + stage * kStage;
        block_fragments<kKind>(at + kHalves * 128 * 128 + slot_band * kWeight, scales, a[odd]);
        fence_products();
#pragma unroll
        for (int s = 0; s < 4; ++s) {
#pragma unroll
          for (int h = 0; h < kHalves; ++h) {
            multiply_block<kKind>(d[h], a[odd][s], rows_descriptor(at + h * 128 * 128 + s * 32), now > 0 || s > 0);
          }
        }
        commit_products();
        wait_products<1>();  // those of the block before
        if (now > 0) arrive(empty + (now - 1) % kManyStages);
        scales[0] = next[0], scales[1] = next[1];
      }
    }
  }
  wait_products<0>();
}

template <WeightKind kKind, int kTokens>
__device__ __forceinline__ void produce(const ManyRows& p, InnerRange inner, char* stages, uint64_t* full,
                                        uint64_t* empty) {
  constexpr int kStage = many_stage_bytes<kKind, kTokens>(), kWeight = many_weight_bytes<kKind>();
  constexpr int kBands = kManyRows / kBandRows, kTiles = block_columns(kKind) / tile_columns(kKind);
  const int32_t first_token = static_cast<int32_t>(blockIdx.y) * kTokens;
  const char* x = p.tokens_tiled + static_cast<int64_t>(first_token) * 128;
  // Rows of no token are not copied: their sums are not stored.
  const int32_t x_bytes = min(kTokens, p.tokens - first_token) * 128;
  for (int32_t block = 0; block < inner.count; ++block) {
    const int stage = block % kManyStages;
    if (block >= kManyStages) wait_barrier(empty + stage, (block / kManyStages - 1) % 2);
    char* at = stages + stage * kStage;
    arrive_expecting(full + stage, kStage - kTokens * 128 + x_bytes);
    copy_bulk(at, x + static_cast<int64_t>(inner.begin + block) * p.padded_tokens * 128, x_bytes, full + stage);
    for (int b = 0; b < kBands; ++b) {
      const int32_t band = min(static_cast<int32_t>(blockIdx.x) * kBands + b, p.weight.bands - 1);
      const int64_t tile = static_cast<int64_t>(band) * p.weight.k_tiles + (inner.begin + block) * kTiles;
      copy_bulk(at + kTokens * 128 + b * kWeight, p.weight.codes + tile * tile_bytes(kKind), kWeight, full + stage);
    }
  }
}

// Where four neighbouring weight rows go.
struct ResultTarget {
  int part;
  int32_t column;
  bool together;  // codes or f32 that leave in one word
  float inverse[4];
};
__device__ __forceinline__ ResultTarget result_target(const ManyRows& p, int32_t n) {
  ResultTarget r = {0, 0, false, {0, 0, 0, 0}};
  while (r.part + 1 < p.out.count && n >= p.out.begin[r.part + 1]) ++r.part;
  const Numbers& out = p.out.part[r.part];
  r.column = n - p.out.begin[r.part];
  const int size = out.dtype == DType::kF32 ? 4 : out.dtype == DType::kI8 ? 1 : 2;
  r.together = n + 4 <= p.out.begin[r.part + 1] && (static_cast<int64_t>(out.stride) | r.column) % 4 == 0 &&
               reinterpret_cast<int64_t>(out.data) % (4 * size) == 0 &&
               (out.dtype == DType::kI8 || out.dtype == DType::kF32);
  if (!r.together || out.dtype == DType::kF32) return r;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float s = scale_of(out, 0, r.column + i);
    if (s != 0.0f && s < 0x1p-60f) r.together = false;
    r.inverse[i] = s == 0.0f ? 0.0f : __fdiv_rn(1.0f, s);
  }
  return r;
}
__device__ __forceinline__ void store_four(const ManyRows& p, const ResultTarget& r, int32_t n, int32_t token,
                                           const float (&y)[4]) {
  const Numbers& out = p.out.part[r.part];
  if (r.together) {
    const int64_t at = static_cast<int64_t>(token) * out.stride + r.column;
    if (out.dtype == DType::kF32) {
      *reinterpret_cast<float4*>(static_cast<float*>(out.data) + at) = make_float4(y[0], y[1], y[2], y[3]);
    } else {
      const int code[4] = {__float2int_rn(y[0] * r.inverse[0]), __float2int_rn(y[1] * r.inverse[1]),
                           __float2int_rn(y[2] * r.inverse[2]), __float2int_rn(y[3] * r.inverse[3])};
      *reinterpret_cast<uint32_t*>(static_cast<int8_t*>(out.data) + at) = pack_codes(code);
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
  int4 sum = cluster_load(at, 0);
  for (int rank = 1; rank < p.splits; ++rank) {
    const int4 more = cluster_load(at, rank);
    sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
  }
  return make_float4(static_cast<float>(sum.x), static_cast<float>(sum.y), static_cast<float>(sum.z),
                     static_cast<float>(sum.w));
}

// Results [kTokens][kResultStride] in shared memory to their parts: lanes have four neighbouring weight rows for all tokens.
template <WeightKind kKind, bool kSplit>
__device__ __forceinline__ void store_results(const ManyRows& p, const float* results, int32_t first_token,
                                              int tokens) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int32_t n = blockIdx.x * kManyRows + lane * 4;
  if (tokens <= 0) return;
  float scale[4] = {1, 1, 1, 1}, bias[4] = {0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (n + i >= p.weight.outputs) continue;
    if constexpr (has_row_scales(kKind)) scale[i] = p.weight.rows[n + i];
    if (p.out.bias != nullptr) bias[i] = p.out.bias[n + i];
  }
  const ResultTarget target = result_target(p, min(n, p.weight.outputs - 1));
  // A lane keeps the scale of one of the warp's sixteen tokens.
  const int own = min(warp + lane % 16 * 8, tokens - 1);
  const float scales = multiplies_codes(kKind) ? scale_of(p.x, first_token + own, 0) : p.up[first_token + own];
  // Of a warp's sixteen tokens, those that another block of the cluster stores.
  const auto is_others = [&](int i) { return kSplit && (i & (p.splits - 1)) != static_cast<int>(blockIdx.z); };
  constexpr int kBatch = 4;  // tokens whose sums are read together
#pragma unroll
  for (int begin = 0; begin < 16; begin += kBatch) {
    float4 sums[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (is_others(begin + i)) continue;
      sums[i] = four_sums<kSplit>(p, results + (warp + (begin + i) * 8) * kResultStride + lane * 4);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const float x_scale = __shfl_sync(kAllLanes, scales, begin + i);
      const int t = warp + (begin + i) * 8;
      if (t >= tokens || n >= p.weight.outputs || is_others(begin + i)) continue;
      const float y[4] = {fmaf(sums[i].x * x_scale, scale[0], bias[0]), fmaf(sums[i].y * x_scale, scale[1], bias[1]),
                          fmaf(sums[i].z * x_scale, scale[2], bias[2]), fmaf(sums[i].w * x_scale, scale[3], bias[3])};
      store_four(p, target, n, first_token + t, y);
    }
  }
}

#endif

template <WeightKind kKind, int kTokens, bool kSplit>
__global__ void __launch_bounds__(384, 1) linear_many_rows(const __grid_constant__ ManyRows p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ uint4 shared_memory[];
  char* stages = reinterpret_cast<char*>(shared_memory) + (1024 - shared_address(shared_memory) % 1024) % 1024;
  uint64_t* full = reinterpret_cast<uint64_t*>(stages + kManyStages * many_stage_bytes<kKind, kTokens>());
  uint64_t* empty = full + kManyStages;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kManyStages; ++i) init_barrier(full + i, 1), init_barrier(empty + i, 256);
    publish_barriers();
  }
  __syncthreads();
  let_next_start();
  wait_for_previous();
  constexpr int kHalves = kTokens / 128;
  const int group = threadIdx.x / 128;
  const InnerRange inner = inner_range<kSplit>(p);
  if (group == 2) {
    fewer_registers<40>();
    if (threadIdx.x == 256) produce<kKind, kTokens>(p, inner, stages, full, empty);
  } else {
    more_registers<232>();
    typename SumType<kKind>::Type d[kHalves][64];
    consume<kKind, kHalves>(p, inner, group, stages, full, empty, d);
    // Results pass through shared memory, 128 tokens at a time.
    float* results = reinterpret_cast<float*>(stages);
    const int warp = threadIdx.x % 128 / 32, g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
    const int32_t first_token = blockIdx.y * kTokens;
#pragma unroll
    for (int h = 0; h < kHalves; ++h) {
      asm volatile("bar.sync 1, 256;" ::: "memory");
#pragma unroll
      for (int i = 0; i < 64; ++i) {
        const int row = group * 64 + warp * 16 + i % 4 / 2 * 8 + g, token = i / 4 * 8 + 2 * q + i % 2;
        results[token * kResultStride + row] =
            kSplit ? __int_as_float(static_cast<int>(d[h][i])) : static_cast<float>(d[h][i]);
      }
      asm volatile("bar.sync 1, 256;" ::: "memory");
      if constexpr (kSplit) cluster_barrier();
      const int32_t begin = first_token + h * 128;
      store_results<kKind, kSplit>(p, results, begin, min(128, p.tokens - begin));
    }
    if constexpr (kSplit) cluster_barrier();  // others still read what lies here
  }
#else
  __trap();  // run_linear asks for compute capability 9.0
#endif
}

template <WeightKind kKind>
constexpr bool has_many_rows() {
  return kKind == WeightKind::kI8 || kKind == WeightKind::kI4Ratio || kKind == WeightKind::kI4Float ||
         kKind == WeightKind::kBF16 || kKind == WeightKind::kF16 || kKind == WeightKind::kI8Float;
}

inline int32_t padded_tokens_of(int32_t tokens) { return (tokens + kManyTokens - 1) / kManyTokens * kManyTokens; }

template <WeightKind kKind>
size_t many_rows_scratch(const LinearArgs& args, int32_t) {
  const int32_t tokens = args.x.values.dim[0];
  if (!has_many_rows<kKind>() || tokens <= most_few_tokens(kKind)) return 0;
  const int64_t padded = padded_tokens_of(tokens);
  return static_cast<size_t>(padded * (128 * many_block_count(kKind, args.weight.values.dim[1]) + 4));
}

template <WeightKind kKind, int kTokens, bool kSplit>
void launch_many_rows(const ManyRows& p, const Stream& stream) {
  static_assert(128 * kResultStride * 4 <= kManyStages * many_stage_bytes<kKind, kTokens>(),
                "results must fit the ring");
  const dim3 grid((p.weight.outputs + kManyRows - 1) / kManyRows, (p.tokens + kTokens - 1) / kTokens, p.splits);
  launch(linear_many_rows<kKind, kTokens, kSplit>,
         {grid, dim3(384), static_cast<size_t>(many_shared_bytes<kKind, kTokens>()), grid.z}, stream, p);
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
  float* up = reinterpret_cast<float*>(stream.scratch);
  char* tiled = stream.scratch + static_cast<int64_t>(p.padded_tokens) * 4;
  p.tokens_tiled = tiled, p.up = up;
  const TileRows rows = {p.x, tiled, up, p.tokens, p.padded_tokens, layout.inner, p.blocks};
  launch(tile_rows<kKind>, {dim3(p.tokens), dim3(256)}, stream, rows);
  p.splits = 1;
  if (many_token_tile(layout.outputs, p.tokens, multiprocessors()) == 256)
    return launch_many_rows<kKind, 256, false>(p, stream);
  if constexpr (splits_inner<kKind>()) {
    p.splits = many_splits(many_tiles(layout.outputs, p.tokens, 128), p.blocks, multiprocessors());
    if (p.splits > 1) return launch_many_rows<kKind, 128, true>(p, stream);
  }
  launch_many_rows<kKind, 128, false>(p, stream);
}

template <WeightKind kKind>
void run_linear(const LinearArgs& args, const Stream& stream) {
  if (has_many_rows<kKind>() && args.x.values.dim[0] > most_few_tokens(kKind) && compute_capability() == 90)
    return run_many_rows<kKind>(args, stream);
  run_few_rows<kKind>(args, stream);
}

template <WeightKind kKind>
constexpr Kernel<LinearArgs> linear_row(const char* name) {
  return {name,           supports_few_rows<kKind>, run_linear<kKind>, many_rows_scratch<kKind>, prepared_bytes<kKind>,
          prepare<kKind>, read_row<kKind>};
}

}  // namespace quamba2::cuda
