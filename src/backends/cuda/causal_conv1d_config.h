// SPDX-License-Identifier: Apache-2.0
// How causal_conv1d is cut into blocks: runs of channels, and tiles of a segment's tokens.
#pragma once

#include <cstdint>

#include "backends/cuda/device/host_device.h"

namespace quamba2::cuda {

struct ConvConfig {
  int32_t threads, blocks, tiles;
  int32_t tile;  // tokens; 0 where every segment is one token
};

QUAMBA2_HOST_DEVICE constexpr int32_t conv_tiles(int32_t length, int32_t tile) { return (length + tile - 1) / tile; }

// The device's segments are not known here: `tiles` is as many as any `segments` that cover `tokens` can have. A tile is at
// least taps - 1 long, so that only the first of a segment reads its state.
constexpr ConvConfig conv_config(int32_t tokens, int32_t segments, int32_t channels, int32_t taps, int32_t vector) {
  ConvConfig c = {};
  const int32_t items = (channels + vector - 1) / vector;
  c.threads = items >= 128 ? 128 : 32;
  c.blocks = (items + c.threads - 1) / c.threads;
  if (tokens == segments) {
    c.tiles = segments;
    return c;
  }
  // What a thread makes ready for its channels costs as much as twenty tokens, so tiles are longer where blocks are many.
  c.tile = int64_t{c.blocks} * tokens >= 16 * 1024 ? 32 : 16;
  while (c.tile < taps - 1) c.tile *= 2;
  // Segments of one tile at least; the others' last ones may be shorter.
  c.tiles = conv_tiles(tokens, c.tile) + segments - 1;
  return c;
}

}  // namespace quamba2::cuda
