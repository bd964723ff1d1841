// SPDX-License-Identifier: Apache-2.0
// linear: y[t, n] = sum over k of x[t, k] * weight[n, k] + bias[n], written in parts (tensor/view.h)
//   x       [T, K] float, or i8 with one scale a tensor, a column, or (dynamic) a row
//   weight  [N, K] float; i8 with a scale a row; i4 (or i6) with a scale a row and group along K
//   bias    [N] f32, or no data
//   out     parts covering columns [0, N), any activation format
// Kernels of one weight format add up each output in the same order whatever T is, so that a sequence's result never
// depends on its neighbours in the batch.
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct LinearArgs {
  Operand x;
  Operand weight;
  TensorView bias;
  OutputParts out;
  const void* prepared = nullptr;  // the weight in the kernel's own layout
};

void reference_linear(const LinearArgs& args);

}  // namespace quamba2
