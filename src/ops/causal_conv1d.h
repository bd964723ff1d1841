// SPDX-License-Identifier: Apache-2.0
// causal_conv1d: depthwise convolution over the K last inputs of each sequence, with an activation.
//   y[t, c] = act(bias[c] + sum over k in [0, K) of weight[c, k] * x[t - (K - 1) + k, c])
// Inputs before the start of a segment come from its state.
//   x        [T, C] float, or i8 with a scale a column
//   weight   [C, K] float, or i8 with a scale a row
//   bias     [C] f32, or no data
//   state    [S, K - 1, C], oldest first, in x's format and scales (codes are kept as they are, so nothing is lost);
//            read at the start of a segment and written at its end, even where the segment is shorter than K - 1
//   out      parts covering [0, C)
// x and out must not overlap.
#pragma once

#include "tensor/view.h"

namespace quamba2 {

enum class Activation : uint8_t { kNone, kSilu };

struct CausalConv1dArgs {
  Operand x;
  Operand weight;
  TensorView bias;
  Operand state;
  const Segment* segments = nullptr;  // in ascending order, covering [0, T) without holes
  int32_t segment_count = 0;
  int32_t single_segments = 0;  // the first ones, known to have one token each: others may follow
  Activation activation = Activation::kSilu;
  OutputParts out;
  const void* prepared = nullptr;
};

void reference_causal_conv1d(const CausalConv1dArgs& args);

}  // namespace quamba2
