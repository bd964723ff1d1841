// SPDX-License-Identifier: Apache-2.0
// selective_scan: the recurrence of Mamba (arXiv 2312.00752, equation 2 and algorithm 2), one decay a (channel, state).
//   delta[t, e] = softplus(dt[t, e] + dt_bias[e])           softplus is the identity above 20
//   s[n, e]    <- exp(delta[t, e] * a[e, n]) * s[n, e] + delta[t, e] * b[t, n] * x[t, e],   a = -exp(a_log)
//   out[t, e]   = sum over n of c[t, n] * s[n, e] + d[e] * x[t, e]
//   x, dt   [T, E]; b, c [T, N]: float, or i8 with scales a tensor or column
//   a_log   [E, N], d [E], dt_bias [E] (or no data): f32
//   state   [S, N, E] (channel fastest): float, or i8 with scales [E], [N, E] or, dynamic, [S, N / 32, E]; encoded at the end of a
//           segment and, where state_every = n > 0, after every n of its tokens
//   out     [T, E] any activation format
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct SelectiveScanArgs {
  Operand x, dt, b, c;
  TensorView a_log, d, dt_bias;
  Operand state;
  const Segment* segments = nullptr;
  int32_t segment_count = 0;
  int32_t single_segments = 0;  // the first ones, known to have one token each: others may follow
  int32_t state_every = 0;      // tokens between two roundings of the state inside a segment; 0: none
  Operand out;
  const void* prepared = nullptr;
};

void reference_selective_scan(const SelectiveScanArgs& args);

}  // namespace quamba2
