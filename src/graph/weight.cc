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

namespace {
size_t stored_scale_bytes(const Tensor& scales) { return scales.empty() ? 0 : narrowed(scales).bytes(); }
}  // namespace

Format Weight::stored_format() const {
  Format out = format;
  if (format.levels == 0) out.storage = stored_values().dtype();
  return out;
}

size_t Weight::stored_bytes() const {
  return stored_values().bytes() + stored_scale_bytes(scales[0]) + stored_scale_bytes(scales[1]);
}

Tensor Weight::stored_values() const {
  if (format.levels > 0 || values.dtype() != DType::kF32 || (stored != DType::kF16 && stored != DType::kBF16))
    return values;
  Tensor narrow(stored, values.shape());
  for (int64_t i = 0; i < values.elements(); ++i) {
    const float v = values.as<const float>()[i];
    store_element(narrow.data(), stored, i, v);
    if (load_element(narrow.data(), stored, i) != static_cast<double>(v)) return values;
  }
  return narrow;
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
