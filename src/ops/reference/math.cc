// SPDX-License-Identifier: Apache-2.0
#include "ops/reference/math.h"

namespace quamba2::reference {

std::vector<double> parameters(const TensorView& view, int64_t count, double fallback) {
  std::vector<double> out(static_cast<size_t>(count), fallback);
  if (!view.data) return out;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t length = row_length(view);
    out[static_cast<size_t>(i)] = load_element(row_address(view, i / length), view.dtype, i % length);
  }
  return out;
}

void write_part(const OutputParts& out, int64_t t, int64_t n, double value) {
  int i = 0;
  while (n >= out.begin[i + 1]) ++i;
  encode_element(out.part[i], t, n - out.begin[i], value);
}

}  // namespace quamba2::reference
