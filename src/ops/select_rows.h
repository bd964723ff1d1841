// SPDX-License-Identifier: Apache-2.0
// select_rows: out[r, d] = x[rows[r], d]. Only some tokens need logits.
//   rows  [R] i32, each in [0, T)
//   x     [T, D], out [R, D], equal float types
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct SelectRowsArgs {
  TensorView rows;
  Operand x;
  Operand out;
};

void reference_select_rows(const SelectRowsArgs& args);

}  // namespace quamba2
