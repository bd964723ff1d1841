// SPDX-License-Identifier: Apache-2.0
// rms_norm:   out[t, d] = x[t, d] * weight[d] / sqrt(mean over d of x[t, d]^2 + eps)
// layer_norm: out[t, d] = (x[t, d] - mean) / sqrt(variance + eps) * weight[d] + bias[d]
//   x       [T, D] any format
//   weight  [D] f32, or no data for all ones; bias [D] f32, or no data for zeros
//   out     [T, D] any format; encoding rounds to nearest even and saturates
// rms_norm of a sum, where there is an addend: sum[t, d] = x[t, d] + addend[t, d], and the norm is of sum as it is stored.
//   addend, sum  [T, D] float
// May alias: out and x when their formats are equal; sum and x, or sum and addend.
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct RmsNormArgs {
  Operand x;
  TensorView weight;
  Operand out;
  double eps = 1e-5;
  Operand addend, sum;  // both, or neither (rank 0)
};

struct LayerNormArgs {
  Operand x;
  TensorView weight, bias;
  Operand out;
  double eps = 1e-5;
};

void reference_rms_norm(const RmsNormArgs& args);
void reference_layer_norm(const LayerNormArgs& args);

}  // namespace quamba2
