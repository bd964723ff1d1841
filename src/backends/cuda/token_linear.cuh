// SPDX-License-Identifier: Apache-2.0
// A linear phase: the row in shared memory times this block's bands of weights. Warps have equal runs of the bands' tiles, so a
// band's sum is one of several warps': they meet in shared memory, in the order of the warps.
#pragma once

#include "backends/cuda/linear_few_rows.cuh"
#include "backends/cuda/token_stream.cuh"
#include "backends/cuda/token_tags.cuh"

namespace quamba2::cuda {

// Numbers of a token program are f32, or i8 with f32 scales; `i` is the row or column that scales go by.
__device__ __forceinline__ float plain_scale(const Numbers& x, int64_t i) {
  if (x.by == ScaleBy::kNothing) return 1.0f;
  return static_cast<const float*>(x.scales)[x.by == ScaleBy::kTensor ? 0 : i];
}
__device__ __forceinline__ float plain_code(const Numbers& x, int64_t i) {
  return x.dtype == DType::kI8 ? static_cast<float>(static_cast<const int8_t*>(x.data)[i])
                               : static_cast<const float*>(x.data)[i];
}
__device__ __forceinline__ float as_code(DType dtype, float v, float scale) {
  return dtype == DType::kI8 ? static_cast<float>(encode_i8(v, scale)) : v;
}

// An output of this thread, with all that it needs but the sum: known before the row is.
struct LinearResult {
  int32_t n, part;  // part: -1 for none
  float row_scale, bias, out_scale;
};
// Asks the second-level cache for what linear_result reads.
__device__ __forceinline__ void prefetch_result(const LinearPhase& l, int32_t n) {
  if (n >= l.outputs) return;
  if (l.row_scales != nullptr) prefetch(l.row_scales + n);
  if (l.out.bias != nullptr) prefetch(l.out.bias + n);
#pragma unroll 1
  for (int i = 0; i < l.out.count; ++i) {
    const Numbers& part = l.out.part[i];
    if (part.by == ScaleBy::kColumn && n >= l.out.begin[i] && n < l.out.begin[i + 1])
      prefetch(static_cast<const float*>(part.scales) + n - l.out.begin[i]);
  }
}

__device__ __forceinline__ LinearResult linear_result(const LinearPhase& l, int32_t n) {
  LinearResult r = {n, -1, 1, 0, 1};
  if (n >= l.outputs) return r;
  if (l.row_scales != nullptr) r.row_scale = __ldg(l.row_scales + n);
  if (l.out.bias != nullptr) r.bias = __ldg(l.out.bias + n);
#pragma unroll 1
  for (int i = 0; i < l.out.count; ++i) {
    if (n < l.out.begin[i] || n >= l.out.begin[i + 1]) continue;
    r.part = i;
    r.out_scale = plain_scale(l.out.part[i], n - l.out.begin[i]);
  }
  return r;
}
__device__ __forceinline__ void store_linear_result(const LinearPhase& l, const LinearResult& r, float y,
                                                    const float* kept, uint32_t tag) {
  if (r.part < 0) return;
  const Numbers& out = l.out.part[r.part];
  const int32_t column = r.n - l.out.begin[r.part];
  y += r.bias;
  if (l.handed[r.part] != nullptr) return hand_on(l.handed[r.part] + column, as_code(out.dtype, y, r.out_scale), tag);
  if (l.adds_residual) y += kept[r.n];
  static_cast<float*>(out.data)[column] = y;
}

// Sums of a warp's tiles, a band after the other, to partial[band of the warp][row].
template <WeightKind kKind>
__device__ __forceinline__ void multiply_tiles(const LinearPhase& l, const WarpTiles& tiles, const char* x,
                                               TileStream<kKind>& stream, uint32_t* partial) {
  constexpr int kPerLane = multiplies_codes(kKind) && Fragments<kKind>::kSteps == 1 ? 8 : 16;
  constexpr int kTileBytes = multiplies_codes(kKind) ? tile_columns(kKind) : tile_columns(kKind) * 4;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const bool there[1] = {true};  // all 8 columns of the right operand are the token: what else is there costs more
  const int32_t k_tiles = l.k_tiles, shift = l.group_shift;
  BandSums<kKind, 1> total;
  total.clear();
  int32_t in_band = tiles.in_band, tile = tiles.tile, left = tiles.last - tiles.first;
  const char* at[1] = {x + in_band * kTileBytes + lane % 4 * kPerLane};
  const auto end_band = [&] {
    if (lane % 4 == 0) partial[lane / 4] = total.bits(0), partial[lane / 4 + 8] = total.bits(2);
    partial += kBandRows;
    total.clear();
    at[0] -= in_band * kTileBytes;
    in_band = 0;
  };
  const bool any = left > 0;
  while (left > 0) {
    const int32_t n = min(left, kStageTiles);
    const char* stage = stream.take();
#pragma unroll 2
    for (int32_t i = 0; i < n; ++i) {
      WeightTile t = {};
      const char* from = stage + i * tile_bytes(kKind);
      t.words = *reinterpret_cast<const uint4*>(from + lane * 16);
      if constexpr (is_six(kKind)) t.high = *reinterpret_cast<const uint2*>(from + 512 + lane * 8);
      if constexpr (has_groups(kKind)) {
        const int32_t group = ((tile + i) >> shift) - (tile >> shift);
        const char* scales = stage + kStageTiles * tile_bytes(kKind) + group * 32;
        t.scales = *reinterpret_cast<const uint32_t*>(scales + lane / 4 * 4);
      }
      total.add(t, at, there);
      at[0] += kTileBytes;
      if (++in_band == k_tiles) end_band();
    }
    stream.give_back();
    tile += n, left -= n;
  }
  if (any && in_band > 0) end_band();
}

// The sum of row `row` of the block's band `band` over the warps that have tiles of it, in their order.
template <WeightKind kKind>
__device__ __forceinline__ float sum_of_partials(const WarpTiles* warps, int32_t band, int32_t row,
                                                 const uint32_t* partials, int32_t partial_bands) {
  constexpr bool kExact = BandSums<kKind, 1>::kExact;
  int whole = 0;
  float sum = 0;
#pragma unroll
  for (int w = 0; w < kTokenWarps; ++w) {
    const int32_t begin = warps[w].begin, end = warps[w].end;
    const bool has = band >= begin && band < end;
    const uint32_t bits = partials[(w * partial_bands + (has ? band - begin : 0)) * kBandRows + row];
    if (kExact)
      whole += has ? static_cast<int>(bits) : 0;
    else
      sum = has ? sum + __uint_as_float(bits) : sum;
  }
  return kExact ? static_cast<float>(whole) : sum;
}

// `first`: the result of this thread that was looked up ahead.
template <WeightKind kKind>
__device__ __forceinline__ void finish_linear(const LinearPhase& l, const WarpTiles& tiles, const LinearResult& first,
                                              float x_scale, const WarpTiles* warps, const uint32_t* partials,
                                              int32_t partial_bands, const float* kept, uint32_t tag) {
#pragma unroll 1
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < tiles.bands * kBandRows; i += kTokenThreads) {
    const int32_t band = i / kBandRows, row = i % kBandRows;
    const LinearResult r = i < kTokenThreads ? first : linear_result(l, (tiles.first_band + band) * kBandRows + row);
    const float sum = sum_of_partials<kKind>(warps, band, row, partials, partial_bands);
    store_linear_result(l, r, sum * x_scale * r.row_scale, kept, tag);
  }
}

}  // namespace quamba2::cuda
