// SPDX-License-Identifier: Apache-2.0
// add:     out[t, d] = a[t, d] + b[t, d]
// convert: out[t, d] = x[t, d], in another format
//   all [T, D] in any activation format. out may alias an input of the same format.
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct AddArgs {
  Operand a, b, out;
};

struct ConvertArgs {
  Operand x, out;
};

void reference_add(const AddArgs& args);
void reference_convert(const ConvertArgs& args);

}  // namespace quamba2
