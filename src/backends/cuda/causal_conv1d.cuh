// SPDX-License-Identifier: Apache-2.0
// What both kernels of causal_conv1d are given, and how they read and move its state.
#pragma once

#include "backends/cuda/causal_conv1d_config.h"
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/vectors.cuh"

namespace quamba2::cuda {

struct ConvParameters {
  Numbers x, state, weight, part[kMaxParts];
  int32_t begin[kMaxParts + 1];
  int32_t parts, channels, taps, segments, tile;
  const float* bias;
  const Segment* segment;
  bool silu;
};

// The state is a matrix [S * (K - 1), C] of x's numbers.
template <int kWidth>
__device__ __forceinline__ Vector<kWidth> history(const ConvParameters& p, const Segment& s, int32_t at, int32_t c) {
  // Input `at` of the segment, where negative ones are before it.
  if (at >= 0) return load_vector<kWidth>(p.x, s.begin + at, c);
  return load_vector<kWidth>(p.state, static_cast<int64_t>(s.slot) * (p.taps - 1) + p.taps - 1 + at, c);
}

// Codes as they are, a word of neighbours at a time: row `k` of the state becomes input `length - (K - 1) + k`.
template <class Word>
__device__ __forceinline__ Word input_word(const ConvParameters& p, const Segment& s, int32_t at, int32_t c,
                                           int bytes) {
  const char* base = static_cast<const char*>(at >= 0 ? p.x.data : p.state.data);
  const int64_t row =
      at >= 0 ? static_cast<int64_t>(s.begin) + at : static_cast<int64_t>(s.slot) * (p.taps - 1) + p.taps - 1 + at;
  return *reinterpret_cast<const Word*>(base + (row * (at >= 0 ? p.x.stride : p.state.stride) + c) * bytes);
}

// With kTaps = 0 rows are moved one after the other: towards the front, so each is read before it is written. Else all are
// read first, which takes the time of one.
template <class Word, int kTaps>
__device__ __forceinline__ void move_state(const ConvParameters& p, const Segment& s, int32_t c, int bytes) {
  const int32_t rows = p.taps - 1;
  char* state = static_cast<char*>(p.state.data) +
                (static_cast<int64_t>(s.slot) * rows * p.state.stride + c) * static_cast<int64_t>(bytes);
  const int64_t step = static_cast<int64_t>(p.state.stride) * bytes;
  if constexpr (kTaps > 1) {
    Word held[kTaps - 1];
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k) held[k] = input_word<Word>(p, s, s.length - rows + k, c, bytes);
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k) *reinterpret_cast<Word*>(state + k * step) = held[k];
  } else {
    for (int32_t k = 0; k < rows; ++k) {
      *reinterpret_cast<Word*>(state + k * step) = input_word<Word>(p, s, s.length - rows + k, c, bytes);
    }
  }
}

// The segment and tile of a block: number `tile` of all. False behind the last one.
__device__ __forceinline__ bool find_tile(const ConvParameters& p, int32_t& tile, Segment& s) {
  int32_t index = 0;
  s = p.segment[0];
  while (tile >= conv_tiles(s.length, p.tile)) {
    tile -= conv_tiles(s.length, p.tile);
    if (++index == p.segments) return false;
    s = p.segment[index];
  }
  return true;
}

// Prompts of four taps, numbers four at a time, all codes or f32. Whether it has launched.
bool run_conv_prompt(const ConvParameters& p, const ConvConfig& config, const Stream& stream);
bool run_conv_step(const ConvParameters& p, const Stream& stream);  // the same of one token a segment

}  // namespace quamba2::cuda
