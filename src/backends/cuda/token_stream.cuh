// SPDX-License-Identifier: Apache-2.0
// Weights of all linear phases of a token, one stream a warp: tiles of the block's bands, split evenly over its warps, phase
// after phase. Weights do not wait for activations, so a warp has stages of kStageTiles tiles on their way also while it waits
// for numbers. The copies run by themselves (cp.async.bulk): one lane asks, a barrier a stage tells when all has come.
#pragma once

#include "backends/cuda/device/barrier.cuh"
#include "backends/cuda/linear_fragments.cuh"
#include "backends/cuda/token_program.cuh"

namespace quamba2::cuda {

// What of a linear is a warp's: of the bands of its block [first_band, first_band + bands), counted from the first, tiles
// [first, first + count); the first is tile `in_band` of its band, and `tile` of the whole matrix.
struct WarpTiles {
  int32_t first_band, bands, first, count, in_band, tile, group_shift;

  __device__ __forceinline__ static WarpTiles make(const LinearShape& shape, int32_t warp) {
    const auto bound = [&](uint32_t block) {  // bands are fewer than 2^20, blocks than 2^10
      return static_cast<int32_t>(block * static_cast<uint32_t>(shape.bands) / gridDim.x);
    };
    WarpTiles w;
    w.first_band = bound(blockIdx.x);
    w.bands = bound(blockIdx.x + 1) - w.first_band;
    const int32_t tiles = w.bands * shape.k_tiles;
    w.first = tiles * warp / kTokenWarps;
    w.count = tiles * (warp + 1) / kTokenWarps - w.first;
    w.in_band = shape.k_tiles > 0 ? w.first % shape.k_tiles : 0;
    w.tile = w.first_band * shape.k_tiles + w.first;
    w.group_shift = shape.group_shift;
    return w;
  }
};
// All warps of the block, for each shape.
using WarpTable = const WarpTiles (*)[kTokenWarps];

// Which stage is next, and the parity of the turn.
struct StageTurn {
  int32_t stage = 0;
  uint32_t parity = 0;
  __device__ __forceinline__ void advance(int32_t stages) {
    if (++stage == stages) stage = 0, parity ^= 1;
  }
};

template <WeightKind kKind>
class TileStream {
 public:
  // `stages` and `barriers`: of this warp. All threads of the block.
  __device__ __forceinline__ TileStream(const TokenProgram& p, char* stages, uint64_t* barriers,
                                        const WeightStream* streams, WarpTable table)
      : stages_(stages), barriers_(barriers), count_(p.stages), end_(p.stream_count), streams_(streams), table_(table) {
    if (threadIdx.x % 32 == 0) {
      for (int32_t i = 0; i < count_; ++i) init_barrier(barriers_ + i, 1);
      publish_barriers();
      asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncwarp();
    for (int32_t i = 0; i < count_; ++i) ask();
  }

  // Waits for the next stage. Tiles stand in it one behind the other, group scales behind kStageTiles of them.
  __device__ __forceinline__ const char* take() {
    wait_barrier(barriers_ + taken_.stage, taken_.parity);
    return stages_ + taken_.stage * stage_bytes_of(kKind);
  }
  // The stage that was taken has been read by this lane: asks for another one in its place.
  __device__ __forceinline__ void give_back() {
    taken_.advance(count_);
    __syncwarp();
    ask();
  }

 private:
  __device__ __forceinline__ void ask() {
    if (threadIdx.x % 32 != 0) return;
    while (left_ == 0) {
      if (next_ == end_) return;
      const WeightStream s = streams_[next_];
      const WarpTiles& tiles = table_[next_++ % kShapes][threadIdx.x / 32];
      left_ = tiles.count, tile_ = tiles.tile, shift_ = tiles.group_shift;
      codes_ = s.codes + static_cast<int64_t>(tile_) * tile_bytes(kKind), scales_ = s.groups;
    }
    const int32_t n = min(left_, kStageTiles), codes = n * tile_bytes(kKind);
    uint64_t* barrier = barriers_ + asked_.stage;
    char* to = stages_ + asked_.stage * stage_bytes_of(kKind);
    int32_t scales = 0;
    if constexpr (has_groups(kKind)) scales = (((tile_ + n - 1) >> shift_) - (tile_ >> shift_) + 1) * 32;
    arrive_expecting(barrier, static_cast<uint32_t>(codes + scales));
    copy_bulk(to, codes_, static_cast<uint32_t>(codes), barrier);
    if constexpr (has_groups(kKind)) {
      copy_bulk(to + kStageTiles * tile_bytes(kKind), scales_ + static_cast<int64_t>(tile_ >> shift_) * 8,
                static_cast<uint32_t>(scales), barrier);
    }
    tile_ += n, left_ -= n, codes_ += codes;
    asked_.advance(count_);
  }

  char* stages_;
  uint64_t* barriers_;
  int32_t count_, next_ = 0, end_;
  StageTurn asked_, taken_;
  const WeightStream* streams_;
  WarpTable table_;
  int32_t left_ = 0, tile_ = 0, shift_ = 0;  // tile: of the whole matrix
  const char* codes_ = nullptr;
  const uint32_t* scales_ = nullptr;
};

}  // namespace quamba2::cuda
