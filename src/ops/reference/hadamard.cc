// SPDX-License-Identifier: Apache-2.0
#include "ops/hadamard.h"

#include "tensor/hadamard.h"
#include "tensor/operand.h"

namespace quamba2 {

void reference_hadamard(const HadamardArgs& args) {
  const int64_t rows = row_count(args.x.values), width = row_length(args.x.values);
  std::vector<double> x = decode(args.x);
  for (int64_t t = 0; t < rows; ++t) hadamard_transform(x.data() + t * width, width, args.transposed);
  encode(x, args.out);
}

}  // namespace quamba2
