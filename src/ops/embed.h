// SPDX-License-Identifier: Apache-2.0
// embed: out[t, d] = table[ids[t], d]
//   ids    [T] i32, each in [0, V): checked before the call
//   table  [V, D] any format (row or group scales)
//   out    [T, D] float
#pragma once

#include "tensor/view.h"

namespace quamba2 {

// Decodes row `row` of a weight matrix from a kernel's own layout into out [D].
using ReadWeightRow = void (*)(const Operand& table, const void* prepared, int32_t row, float* out);

struct EmbedArgs {
  TensorView ids;
  Operand table;
  Operand out;
  // Where the table lives only in the layout of the linear kernel that shares it (a tied head), rows are read there.
  const void* prepared = nullptr;
  ReadWeightRow read_row = nullptr;
};

void reference_embed(const EmbedArgs& args);

}  // namespace quamba2
