// SPDX-License-Identifier: Apache-2.0
// linear for few tokens: weights are streamed once, from memory to the registers of the tensor cores. A block takes bands of
// 16 weight rows; its warps take turns along K, and their sums meet in shared memory at the end of a band:
//
//                     K: tile 0    1    2  ...  7    8    9
//   band (16 rows)      [warp 0][ 1 ][ 2 ]...[ 7 ][ 0 ][ 1 ] ...        x [tokens, K] in shared memory, 8 tokens a product
//
// A warp has kFewStages tiles on their way at any time, also across bands, and asks for the first ones before the kernel
// that writes x has ended. Tokens do not meet: one's result has the same bits whatever others are beside it.
#pragma once

#include <cuda_bf16.h>

#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/linear_config.h"
#include "backends/cuda/linear_fragments.cuh"
#include "backends/cuda/linear_parts.cuh"
#include "backends/cuda/linear_prepare.h"

namespace quamba2::cuda {

struct FewRows {
  PreparedWeight weight;
  Numbers x;
  LinearParts out;
  int32_t tokens, tokens_per_block, bands_per_block, row_bytes;
};

// Whether rows of x can be copied as they lie, in 16 bytes.
__device__ __forceinline__ bool copies_whole(const FewRows& p, int size) {
  const int64_t row = static_cast<int64_t>(p.x.stride) * size, used = static_cast<int64_t>(p.weight.inner) * size;
  return (row | used | reinterpret_cast<int64_t>(p.x.data)) % 16 == 0;
}

// Rows of the block's tokens as they are, zeros beyond K. Ends with copies under way: wait, then synchronize.
__device__ __forceinline__ void stage_rows(const FewRows& p, int32_t first, int32_t count, int size, char* to) {
  const int words = (p.row_bytes - 64) / 16, used = p.weight.inner * size / 16;
  for (int t = 0; t < count; ++t) {
    const char* from = static_cast<const char*>(p.x.data) + static_cast<int64_t>(first + t) * p.x.stride * size;
    uint4* row = reinterpret_cast<uint4*>(to + t * p.row_bytes);
    for (int i = threadIdx.x; i < words; i += blockDim.x) {
      if (i < used)
        copy_16(row + i, from + i * 16);
      else
        row[i] = make_uint4(0, 0, 0, 0);
    }
  }
  commit_copies();
}

// The block's tokens as codes.
__device__ __forceinline__ void stage_codes(const FewRows& p, int32_t first, int32_t count, char* to) {
  if (copies_whole(p, 1)) return stage_rows(p, first, count, 1, to);
  for (int t = 0; t < count; ++t) {
    const int8_t* from = static_cast<const int8_t*>(p.x.data) + static_cast<int64_t>(first + t) * p.x.stride;
    for (int i = threadIdx.x; i < p.row_bytes - 64; i += blockDim.x) {
      to[t * p.row_bytes + i] = i < p.weight.inner ? from[i] : 0;
    }
  }
}

// The block's tokens as f32.
__device__ __forceinline__ void stage_floats(const FewRows& p, int32_t first, int32_t count, char* to) {
  if (p.x.dtype == DType::kF32 && copies_whole(p, 4)) return stage_rows(p, first, count, 4, to);
  for (int t = 0; t < count; ++t) {
    float* row = reinterpret_cast<float*>(to + t * p.row_bytes);
    for (int i = threadIdx.x; i < (p.row_bytes - 64) / 4; i += blockDim.x) {
      row[i] = i < p.weight.inner ? load_number(p.x, first + t, i) : 0.0f;
    }
  }
}

struct PowerOfTwo {
  float down, up;
};
// What brings numbers up to `largest` below 2^15, and back.
__device__ __forceinline__ PowerOfTwo power_for(float largest) {
  const uint32_t exponent = max(__float_as_uint(largest) >> 23, 15u);
  return {__uint_as_float((268u - exponent) << 23), __uint_as_float((exponent - 14u) << 23)};
}

// A number as the sum of two of 16 bits.
template <bool kBrain>
__device__ __forceinline__ void split_number(float v, uint32_t* high, uint32_t* low) {
  if (kBrain) {
    const __nv_bfloat16 part = __float2bfloat16_rn(v);
    *high = __bfloat16_as_ushort(part);
    *low = __bfloat16_as_ushort(__float2bfloat16_rn(v - __bfloat162float(part)));
  } else {
    const __half part = __float2half_rn(v);
    *high = __half_as_ushort(part);
    *low = __half_as_ushort(__float2half_rn(v - __half2float(part)));
  }
}

// Rows of f32, in place, to sums of two 16-bit floats (linear_layout.h: split_offset), f16 or bf16, under a power of two a
// row whose inverse goes to up[t]: whatever the row's size, both parts are normal numbers where they count. As many warps a token as there are for each. Synchronizes, also at the end.
template <bool kBrain>
__device__ __forceinline__ void split_rows(const FewRows& p, int32_t count, char* rows, float* up, float* largest_of) {
  const int fours = (p.row_bytes - 64) / 16, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  int each = 1;  // warps a token
  while (each * 2 * count <= warps) each *= 2;
  for (int base = 0; base < count; base += warps / each) {
    const int t = base + warp / each, begin = warp % each * 32 + threadIdx.x % 32;
    float4* row = reinterpret_cast<float4*>(rows + t * p.row_bytes);
    float largest = 0;
    for (int i = begin; t < count && i < fours; i += each * 32) {
      const float4 v = row[i];
      largest = fmaxf(largest, fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w))));
    }
    largest = warp_max(largest);
    if (threadIdx.x % 32 == 0) largest_of[warp] = largest;
    __syncthreads();
    for (int w = warp / each * each; w < (warp / each + 1) * each; ++w) largest = fmaxf(largest, largest_of[w]);
    const PowerOfTwo power = power_for(largest);
    __syncthreads();
    if (t >= count) continue;
    if (begin == 0) up[t] = power.up;
    for (int i = begin; i < fours; i += each * 32) {
      const float4 v = row[i];
      const float scaled[4] = {v.x * power.down, v.y * power.down, v.z * power.down, v.w * power.down};
      uint32_t high[4], low[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) split_number<kBrain>(scaled[j], &high[j], &low[j]);
      reinterpret_cast<uint4*>(row)[i] =
          make_uint4(high[0] | high[1] << 16, high[2] | high[3] << 16, low[0] | low[1] << 16, low[2] | low[3] << 16);
    }
  }
  __syncthreads();
}

// Pairs of tiles of a warp on their way through its ring in shared memory: those of its turns in a band, then in the next
// band. Each lane copies and reads its own bytes, so that nobody waits for anybody. Behind the last tile of an odd number
// comes what is stored next; it meets the zeros that follow x.
template <WeightKind kKind>
struct TileRing {
  static constexpr int kStage = static_cast<int>(few_stage_bytes(kKind));
  const PreparedWeight& w;
  char* stages;                               // of this lane
  int32_t band, last_band, first, step, end;  // tiles: first, first + step, ... below end, then the next band
  const char* codes;                          // of this lane, of the tile to ask for next
  int32_t tile, slot;

  __device__ __forceinline__ void begin_band() {
    tile = first;
    codes = w.codes + (static_cast<int64_t>(band) * w.k_tiles + tile) * tile_bytes(kKind) + threadIdx.x % 32 * 16;
  }

  __device__ __forceinline__ void ask() {
    if (band < last_band && tile < w.k_tiles) {
      const int lane = threadIdx.x % 32;
      char* to = stages + slot * kStage;
      copy_16(to, codes);
      copy_16(to + 512, codes + tile_bytes(kKind));
      if constexpr (is_six(kKind)) {
        copy_small<8>(to + 1024 - lane * 8, codes + 512 - lane * 8);
        copy_small<8>(to + 1280 - lane * 8, codes + 1280 - lane * 8);
      }
      if constexpr (has_groups(kKind)) {
        constexpr int kAt = 2 * tile_bytes(kKind);
        const int32_t group = tile >> w.group_shift;
        const uint32_t* scales = w.groups + (static_cast<int64_t>(band) * w.group_count + group) * 8 + lane / 4;
        copy_small<4>(to + kAt - lane * 12, scales);
        if (w.group_shift == 0) {  // behind the last tile: any number that is one
          copy_small<4>(to + kAt + 128 - lane * 12, group + 1 < w.group_count ? scales + 8 : scales);
        }
      }
    }
    commit_copies();
    tile += step, codes += step * tile_bytes(kKind);
    if (tile >= end) ++band, begin_band();
    slot = slot + 1 == kFewStages ? 0 : slot + 1;
  }

  __device__ __forceinline__ WeightTile read(int at, int which) const {
    const int lane = threadIdx.x % 32;
    const char* from = stages + at * kStage;
    WeightTile t;
    t.words = *reinterpret_cast<const uint4*>(from + which * 512);
    if constexpr (is_six(kKind)) t.high = *reinterpret_cast<const uint2*>(from + 1024 + which * 256 - lane * 8);
    if constexpr (has_groups(kKind)) {
      const int second = which != 0 && w.group_shift == 0 ? 128 : 0;
      t.scales = *reinterpret_cast<const uint32_t*>(from + 2 * tile_bytes(kKind) + second - lane * 12);
    }
    return t;
  }
};

template <WeightKind kKind, int kColumnTiles>
struct BandSums {
  static constexpr bool kInteger = multiplies_codes(kKind);
  static constexpr bool kExact = kInteger && !Fragments<kKind>::kSum;
  int integers[kExact ? kColumnTiles : 1][4];
  float floats[kExact ? 1 : kColumnTiles][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < kColumnTiles * 4; ++i) {
      if (kExact)
        integers[i / 4 % (kExact ? kColumnTiles : 1)][i % 4] = 0;
      else
        floats[i / 4 % (kExact ? 1 : kColumnTiles)][i % 4] = 0;
    }
  }

  // One tile times the tokens at `x`, where column tile, lane and tile begin. Tokens that are not there count as zeros.
  __device__ __forceinline__ void add(const WeightTile& t, const char* const (&x)[kColumnTiles],
                                      const bool (&there)[kColumnTiles]) {
    using F = Fragments<kKind>;
    if constexpr (kInteger) {
      int sums[kColumnTiles][4] = {};
      uint4 b[kColumnTiles];
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) {
        b[j] = make_uint4(0, 0, 0, 0);
        if (there[j]) {
          if constexpr (F::kSteps == 2) {
            b[j] = *reinterpret_cast<const uint4*>(x[j]);
          } else {
            const uint2 v = *reinterpret_cast<const uint2*>(x[j]);
            b[j].x = v.x, b[j].y = v.y;
          }
        }
      }
#pragma unroll
      for (int s = 0; s < F::kSteps; ++s) {
        uint32_t a[4];
        F::registers(t, s, a);
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
          const uint32_t b0 = s == 0 ? b[j].x : b[j].z, b1 = s == 0 ? b[j].y : b[j].w;
          if constexpr (kExact)
            multiply_s8(integers[j], a, b0, b1);
          else
            multiply_s8(sums[j], a, b0, b1);
        }
      }
      if constexpr (F::kSum) {
        const float2 scales = __half22float2(half2_of(t.scales));
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            floats[j][i] = fmaf(static_cast<float>(sums[j][i]), (i < 2 ? scales.x : scales.y) * F::kUnit, floats[j][i]);
          }
        }
      }
    } else {
      float sums[kColumnTiles][4] = {};
#pragma unroll
      for (int s = 0; s < F::kSteps; ++s) {
        uint32_t a[4];
        F::registers(t, s, a);
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
          uint4 b = make_uint4(0, 0, 0, 0);
          if (there[j]) b = *reinterpret_cast<const uint4*>(x[j] + s * 64);
          float(&c)[4] = F::kSum ? sums[j] : floats[j];
          if constexpr (kKind == WeightKind::kBF16) {
            multiply_bf16(c, a, b.x, b.y);
            multiply_bf16(c, a, b.z, b.w);
          } else {
            multiply_f16(c, a, b.x, b.y);
            multiply_f16(c, a, b.z, b.w);
          }
        }
      }
      if constexpr (F::kSum) {
        const float2 scales = __half22float2(half2_of(t.scales));
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
#pragma unroll
          for (int i = 0; i < 4; ++i) floats[j][i] = fmaf(sums[j][i], i < 2 ? scales.x : scales.y, floats[j][i]);
        }
      }
    }
  }

  __device__ __forceinline__ uint32_t bits(int i) const {
    if constexpr (kExact) return static_cast<uint32_t>(integers[i / 4][i % 4]);
    return __float_as_uint(floats[kExact ? 0 : i / 4][i % 4]);
  }
};

// Where a thread's result stands among the sums of a band: at shared[warp][register][lane].
struct ResultPlace {
  int row, token;
};
__device__ __forceinline__ ResultPlace result_place(int i) {
  const int lane = i % 32, element = i / 32;  // element = 4 * column tile + register
  return {lane / 4 + 8 * (element % 4 / 2), element / 4 * 8 + lane % 4 * 2 + element % 2};
}

template <WeightKind kKind, int kColumnTiles, int kWarps>
__device__ __forceinline__ float sum_of_warps(const uint32_t* sums) {
  constexpr int kElements = kColumnTiles * 128;
  if constexpr (BandSums<kKind, kColumnTiles>::kExact) {
    int sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += static_cast<int>(sums[w * kElements]);
    return static_cast<float>(sum);
  }
  float sum = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) sum += __uint_as_float(sums[w * kElements]);
  return sum;
}

template <WeightKind kKind, int kColumnTiles, int kWarps>
__global__ void __launch_bounds__(kWarps * 32, kColumnTiles == 2 ? 2 : kFewWarps / kWarps)
    linear_few_rows(const __grid_constant__ FewRows p) {
  extern __shared__ uint4 shared_memory[];
  using Ring = TileRing<kKind>;
  constexpr int kElements = kColumnTiles * 128;
  constexpr int kTileBytes =
      multiplies_codes(kKind) ? tile_columns(kKind) : tile_columns(kKind) * 4;  // of a token's row
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int32_t first_band = blockIdx.x * p.bands_per_block;
  const int32_t last_band = min(first_band + p.bands_per_block, p.weight.bands);
  const int32_t first_token = blockIdx.y * p.tokens_per_block;
  const int32_t count = min(p.tokens_per_block, p.tokens - first_token);
  constexpr int kStep = 2 * kWarps;  // tiles: each warp takes two a turn
  const int turns = (p.weight.k_tiles + kStep - 1) / kStep;

  char* stages = reinterpret_cast<char*>(shared_memory);
  char* rows = stages + kWarps * kFewStages * Ring::kStage;
  uint32_t* sums = reinterpret_cast<uint32_t*>(rows + p.tokens_per_block * p.row_bytes);
  float* up = reinterpret_cast<float*>(sums + 2 * kWarps * kElements);
  Ring ring = {p.weight,
               stages + warp * kFewStages * Ring::kStage + lane * 16,
               first_band,
               last_band,
               2 * warp,
               kStep,
               2 * warp + turns * kStep,
               nullptr,
               0,
               0};
  ring.begin_band();
#pragma unroll
  for (int i = 0; i < kFewStages; ++i) ring.ask();
  let_next_start();
  wait_for_previous();

  const ResultPlace place = result_place(threadIdx.x);
  const bool has_result = threadIdx.x < kElements && place.token < count;
  float x_scale = 1;
  if constexpr (multiplies_codes(kKind)) {
    if (has_result) x_scale = scale_of(p.x, first_token + place.token, 0);
    stage_codes(p, first_token, count, rows);
    wait_copies<0>();
    __syncthreads();
  } else {
    stage_floats(p, first_token, count, rows);
    wait_copies<0>();
    __syncthreads();
    split_rows<kKind == WeightKind::kBF16>(p, count, rows, up, up + kFewTokens);
    if (has_result) x_scale = up[place.token];
  }

  const char* x[kColumnTiles];
  bool there[kColumnTiles];
#pragma unroll
  for (int j = 0; j < kColumnTiles; ++j) {
    there[j] = 8 * j + lane / 4 < count;
    constexpr int kPerLane = multiplies_codes(kKind) && Fragments<kKind>::kSteps == 1 ? 8 : 16;
    x[j] = rows + (8 * j + lane / 4) * p.row_bytes + lane % 4 * kPerLane;
  }
  BandSums<kKind, kColumnTiles> total;
  int slot = 0;
  for (int32_t band = first_band; band < last_band; ++band) {
    const int32_t n = band * kBandRows + place.row;
    const bool stores = has_result && n < p.weight.outputs;
    float scale = 1;
    if constexpr (has_row_scales(kKind)) {
      if (stores) scale = __ldg(p.weight.rows + n);
    }
    total.clear();
    for (int tile = 2 * warp; tile < 2 * warp + turns * kStep; tile += kStep) {
      wait_copies<kFewStages - 1>();
      if (tile < p.weight.k_tiles) {
#pragma unroll
        for (int which = 0; which < 2; ++which) {
          const WeightTile t = ring.read(slot, which);
          const char* at[kColumnTiles];
#pragma unroll
          for (int j = 0; j < kColumnTiles; ++j) at[j] = x[j] + (tile + which) * kTileBytes;
          total.add(t, at, there);
        }
      }
      ring.ask();
      slot = slot + 1 == kFewStages ? 0 : slot + 1;
    }
    uint32_t* here = sums + (band - first_band) % 2 * kWarps * kElements;
#pragma unroll
    for (int e = 0; e < kColumnTiles * 4; ++e) here[warp * kElements + e * 32 + lane] = total.bits(e);
    __syncthreads();
    if (stores) {
      const float y = sum_of_warps<kKind, kColumnTiles, kWarps>(here + threadIdx.x) * x_scale * scale;
      store_result(p.out, first_token + place.token, n, y);
    }
  }
}

template <WeightKind kKind>
Verdict supports_few_rows(const LinearArgs& args) {
  if (const char* reason = refuse_kind(args, kKind)) return {reason};
  if (const char* reason = refuse_linear_operands(args)) return {reason};
  const FewRowsShape shape = few_rows_shape(layout_of(args, kKind), 1, 1, kSharedOfSmall);
  return {shape.tokens_per_block == 0 ? "needs a shorter K" : nullptr};
}

template <WeightKind kKind>
void run_few_rows(const LinearArgs& args, const Stream& stream) {
  const LinearLayout layout = layout_of(args, kKind);
  const int32_t tokens = args.x.values.dim[0];
  const int capability = compute_capability();
  const int64_t limit = capability == 86 || capability == 89 ? kSharedOfSmall : kMostShared;
  const FewRowsShape shape = few_rows_shape(layout, tokens, multiprocessors(), limit);
  FewRows p;
  p.weight = prepared_weight(args.prepared, layout);
  p.x = numbers_of(args.x);
  p.out = parts_of(args);
  p.tokens = tokens;
  p.tokens_per_block = shape.tokens_per_block;
  p.bands_per_block = shape.bands_per_block;
  p.row_bytes = static_cast<int32_t>(few_row_bytes(kKind, layout.k_tiles));
  const LaunchShape launch_shape = {dim3(shape.blocks, shape.token_blocks), dim3(shape.warps * 32),
                                    static_cast<size_t>(shape.shared_bytes)};
  if (shape.warps == 16)
    launch(linear_few_rows<kKind, 1, 16>, launch_shape, stream, p);
  else if (shape.warps == 4)
    launch(linear_few_rows<kKind, 1, 4>, launch_shape, stream, p);
  else if (shape.column_tiles == 1)
    launch(linear_few_rows<kKind, 1, 8>, launch_shape, stream, p);
  else
    launch(linear_few_rows<kKind, 2, 8>, launch_shape, stream, p);
}

template <WeightKind kKind>
size_t prepared_bytes(const LinearArgs& args) {
  return static_cast<size_t>(layout_of(args, kKind).bytes);
}
template <WeightKind kKind>
void prepare(const LinearArgs& args, void* destination, const Stream& stream) {
  prepare_linear(args, kKind, destination, stream);
}
template <WeightKind kKind>
void read_row(const Operand& weight, const void* prepared, int32_t row, float* out) {
  read_linear_row(weight, kKind, prepared, row, out);
}

template <WeightKind kKind>
constexpr Kernel<LinearArgs> few_rows_row(const char* name) {
  return {name,           supports_few_rows<kKind>, run_few_rows<kKind>, nullptr, prepared_bytes<kKind>,
          prepare<kKind>, read_row<kKind>};
}

}  // namespace quamba2::cuda
