// SPDX-License-Identifier: Apache-2.0
// Everything of a Mamba1 layer between in_proj and out_proj for one token of one sequence, as one kernel: conv, the row that
// x_proj reads, x_proj, dt_proj, scan, gate and Hadamard transform. All activations are codes of 8 bits.
#pragma once

#include "backend/kernel.h"
#include "backends/cuda/linear_parts.cuh"
#include "backends/cuda/scan_state.cuh"

namespace quamba2::cuda {

constexpr int kMixerStates = 16, kMixerTaps = 4;
constexpr int kMixerRun = 32;  // channels of the transform that lie in a warp
constexpr int kMostMixerCore = 28;

struct MixerStep {
  // conv: x = silu(conv(x_in)), and x again as x_row, whose scale is its largest
  Numbers x_in, history, conv_weight, x;  // history [3, E] of a slot, in x_in's format
  int64_t history_slot;                   // numbers from a slot to the next
  const float* conv_bias;                 // [E] or null
  // x_proj gives dt_low, b and c; dt_proj gives dt
  PreparedWeight x_proj, dt_proj;
  Numbers dt_low, b, c, dt;  // their scales
  // scan and gate
  const float *a_log, *d, *dt_bias;  // [E, 16], [E], [E]; d and dt_bias may be null
  int32_t a_stride;
  ScanState state;
  Numbers z, out;  // out: codes under a scale a row
  const Segment* segment;
  // shape
  int32_t channels, rank;
  bool silu;
  // Hadamard transform of core * run channels (device/hadamard.cuh)
  int32_t core, run_shift;
  float scale;
  uint32_t minus[kMostMixerCore];
};

// How the channels are dealt to the blocks of a cluster.
struct MixerShape {
  int32_t blocks = 0;                               // 0: no such number
  int32_t channels = 0, x_tiles = 0, x_groups = 0;  // a block; groups of scales that its tiles touch
  int64_t shared_bytes = 0;
};
// At most `most` blocks (16).
MixerShape mixer_shape(const LinearLayout& x_proj, const LinearLayout& dt_proj, int32_t channels, int32_t most);

bool has_mixer_step(WeightKind x_proj);
void run_mixer_step(WeightKind x_proj, const MixerShape& shape, const MixerStep& p, const Stream& stream);

}  // namespace quamba2::cuda
