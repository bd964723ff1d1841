// SPDX-License-Identifier: Apache-2.0
// The products of a linear phase: the row in shared memory times this block's bands of weights. Warps have equal runs of the
// bands' tiles, so a band's sum is one of several warps': they meet in shared memory, in the order of the warps.
#pragma once

#include "backends/cuda/linear_few_rows.cuh"
#include "backends/cuda/token_exchange.cuh"
#include "backends/cuda/token_stream.cuh"

namespace quamba2::cuda {

// Which warps have tiles of a band of the block: all of [first, last]; `slot`: where the first one's sums stand.
struct BandWarps {
  uint8_t first, last;
  uint16_t slot;
  __device__ __forceinline__ static BandWarps make(int32_t bands, int32_t k_tiles, int32_t band) {
    // Warp w begins with tile bands * k_tiles * w / kTokenWarps.
    const auto tiles = static_cast<uint32_t>(bands * k_tiles);
    const auto warp_of = [&](int32_t tile) {
      return static_cast<int32_t>((static_cast<uint32_t>(tile) * kTokenWarps + kTokenWarps - 1) / tiles);
    };
    const int32_t first = warp_of(band * k_tiles), last = warp_of((band + 1) * k_tiles - 1);
    const int32_t slot = band - static_cast<int32_t>(tiles * static_cast<uint32_t>(first) / kTokenWarps) / k_tiles;
    return {static_cast<uint8_t>(first), static_cast<uint8_t>(last), static_cast<uint16_t>(slot)};
  }
};
constexpr int kBandsOfThreads = kTokenThreads / kBandRows;  // of a block: a result a thread

// Sums of a warp's tiles, a band after the other, to partial[band of the warp][row].
template <WeightKind kKind>
__device__ __forceinline__ void multiply_tiles(const LinearShape& l, const WarpTiles& tiles, const char* x,
                                               TileStream<kKind>& stream, uint32_t* partial) {
  constexpr int kPerLane = multiplies_codes(kKind) && Fragments<kKind>::kSteps == 1 ? 8 : 16;
  constexpr int kTileBytes = multiplies_codes(kKind) ? tile_columns(kKind) : tile_columns(kKind) * 4;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const bool there[1] = {true};  // all 8 columns of the right operand are the token: what else is there costs more
  const int32_t k_tiles = l.k_tiles, shift = l.group_shift;
  BandSums<kKind, 1> total;
  total.clear();
  int32_t in_band = tiles.in_band, tile = tiles.tile, left = tiles.count;
  const char* at[1] = {x + in_band * kTileBytes + lane % 4 * kPerLane};
  const auto end_band = [&] {
    if (lane % 4 == 0) partial[lane / 4] = total.bits(0), partial[lane / 4 + 8] = total.bits(2);
    partial += kBandRows;
    total.clear();
    at[0] -= in_band * kTileBytes;
    in_band = 0;
  };
  const bool ends_inside = left == 0 || (in_band + left) % k_tiles != 0;
  while (left > 0) {
    const int32_t n = min(left, kStageTiles);
    const char* stage = stream.take();
    const char* scales = stage + kStageTiles * tile_bytes(kKind) + lane / 4 * 4;
    const int32_t first_group = tile >> shift;
#pragma unroll 2
    for (int32_t i = 0; i < n; ++i) {
      WeightTile t = {};
      const char* from = stage + i * tile_bytes(kKind);
      t.words = *reinterpret_cast<const uint4*>(from + lane * 16);
      if constexpr (is_six(kKind)) t.high = *reinterpret_cast<const uint2*>(from + 512 + lane * 8);
      if constexpr (has_groups(kKind))
        t.scales = *reinterpret_cast<const uint32_t*>(scales + (((tile + i) >> shift) - first_group) * 32);
      total.add(t, at, there);
      at[0] += kTileBytes;
      if (++in_band == k_tiles) end_band();
    }
    stream.give_back();
    tile += n, left -= n;
  }
  if (ends_inside) end_band();  // a warp without tiles leaves zeros
}

// The sum of row `row` of a band over the warps that have tiles of it, in their order.
template <WeightKind kKind>
__device__ __forceinline__ float sum_of_partials(const BandWarps& warps, int32_t row, const uint32_t* partials,
                                                 int32_t partial_bands) {
  constexpr bool kExact = BandSums<kKind, 1>::kExact;
  const int32_t step = partial_bands * kBandRows;
  const uint32_t first = partials[warps.first * step + warps.slot * kBandRows + row];
  int whole = static_cast<int>(first);
  float sum = __uint_as_float(first);
#pragma unroll 4
  for (int32_t w = warps.first + 1; w <= warps.last; ++w) {
    const uint32_t bits = partials[w * step + row];
    if (kExact)
      whole += static_cast<int>(bits);
    else
      sum += __uint_as_float(bits);
  }
  return kExact ? static_cast<float>(whole) : sum;
}

// A result of this thread, with all that it needs but the sum: asked for before the row is there.
struct FirstResult {
  ResultColumn column;
  BandWarps warps;
  __device__ __forceinline__ FirstResult(const ResultColumn* columns, const WarpTiles& tiles, const BandWarps* bands)
      : column{}, warps{} {
    const auto t = static_cast<int32_t>(threadIdx.x);
    if (t >= tiles.bands * kBandRows) return;
    column = columns[tiles.first_band * kBandRows + t];
    warps = bands[t / kBandRows];
  }
};

// All results of the block, after a barrier: `take(n, y, column)`.
template <WeightKind kKind, class Take>
__device__ __forceinline__ void finish_linear(const LinearShape& l, const WarpTiles& tiles, const FirstResult& first,
                                              const ResultColumn* columns, float x_scale, const uint32_t* partials,
                                              int32_t partial_bands, Take take) {
  FirstResult r = first;
#pragma unroll 1
  for (auto i = static_cast<int32_t>(threadIdx.x); i < tiles.bands * kBandRows; i += kTokenThreads) {
    const int32_t n = tiles.first_band * kBandRows + i;
    if (i >= kTokenThreads) {
      r.column = columns[n];
      r.warps = BandWarps::make(tiles.bands, l.k_tiles, i / kBandRows);
    }
    const float sum = sum_of_partials<kKind>(r.warps, i % kBandRows, partials, partial_bands);
    if (n < l.outputs) take(n, fmaf(sum * x_scale, r.column.scale, r.column.bias), r.column);
  }
}

}  // namespace quamba2::cuda
