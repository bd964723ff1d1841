// SPDX-License-Identifier: Apache-2.0
// ssd_scan: the recurrence of Mamba2 (arXiv 2405.21060, section 6), one decay a head. Head h reads group g = h * G / H.
//   delta[t, h] = clamp(softplus(dt[t, h] + dt_bias[h]), dt_min, dt_max)      softplus is the identity above 20
//   S[h, n, p] <- exp(-delta[t, h] * exp(a_log[h])) * S[h, n, p] + delta[t, h] * b[t, g, n] * x[t, h, p]
//   out[t, h, p] = sum over n of c[t, g, n] * S[h, n, p] + d * x[t, h, p]
//   x       [T, H * P], dt [T, H], b, c [T, G * N]: float, or i8 with scales a tensor or column
//   a_log   [H], d [H] or [H * P], dt_bias [H] (or no data): f32
//   state   [S, H, N, P] (channel fastest): float, or i8 with scales [H, P], [H, N, P] or, dynamic, [S, H, N / 32, P]; encoded at
//           the end of a segment and, where state_every = n > 0, after every n of its tokens
//   out     [T, H * P] any activation format
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct SsdScanArgs {
  Operand x, dt, b, c;
  TensorView a_log, d, dt_bias;
  double dt_min = 0.0, dt_max = 1e300;  // dt_max may be infinite
  int32_t groups = 1;
  Operand state;
  const Segment* segments = nullptr;
  int32_t segment_count = 0;
  int32_t single_segments = 0;  // the first ones, known to have one token each: others may follow
  int32_t state_every = 0;      // tokens between two roundings of the state inside a segment; 0: none
  Operand out;
  const void* prepared = nullptr;
};

void reference_ssd_scan(const SsdScanArgs& args);

}  // namespace quamba2
