// SPDX-License-Identifier: Apache-2.0
// hadamard: out[t, :] = H x[t, :], or H^T x[t, :], with the orthonormal H of tensor/hadamard.h
//   x    [T, D] any format, D = m * 2^k with m in {1, 12, 20, 28}
//   out  [T, D] any activation format
// May alias: out and x when their formats are equal.
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct HadamardArgs {
  Operand x, out;
  bool transposed = false;
};

void reference_hadamard(const HadamardArgs& args);

}  // namespace quamba2
