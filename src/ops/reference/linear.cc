// SPDX-License-Identifier: Apache-2.0
#include "ops/linear.h"

#include "ops/reference/math.h"

namespace quamba2 {

void reference_linear(const LinearArgs& args) {
  const int64_t rows = row_count(args.x.values), outputs = args.weight.values.dim[0], inner = args.weight.values.dim[1];
  const std::vector<double> x = decode(args.x), bias = reference::parameters(args.bias, outputs, 0.0);
  std::vector<double> w(static_cast<size_t>(inner)), y(static_cast<size_t>(rows * outputs));
  for (int64_t n = 0; n < outputs; ++n) {
    for (int64_t k = 0; k < inner; ++k) w[static_cast<size_t>(k)] = decode_element(args.weight, n, k);
    for (int64_t t = 0; t < rows; ++t) {
      double sum = 0;
      for (int64_t k = 0; k < inner; ++k) sum += x[static_cast<size_t>(t * inner + k)] * w[static_cast<size_t>(k)];
      y[static_cast<size_t>(t * outputs + n)] = sum + bias[static_cast<size_t>(n)];
    }
  }
  reference::write_parts(args.out, y);
}

}  // namespace quamba2
