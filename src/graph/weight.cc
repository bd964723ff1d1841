// SPDX-License-Identifier: Apache-2.0
#include "graph/weight.h"

#include "tensor/operand.h"

namespace quamba2 {

Operand Weight::operand() const {
  Operand out;
  out.values = values.view();
  out.format = format;
  for (int i = 0; i < format.levels; ++i) out.scales[i] = scales[i].view();
  return out;
}

std::vector<float> decode_weight(const Weight& weight) {
  if (weight.format.levels == 0) return to_floats(weight.values);
  const std::vector<double> wide = decode(weight.operand());
  return {wide.begin(), wide.end()};
}

Weight make_float_weight(std::string name, std::vector<int64_t> shape, const std::vector<float>& values) {
  Weight out;
  out.name = std::move(name);
  out.values = Tensor::from(std::move(shape), values);
  return out;
}

}  // namespace quamba2
