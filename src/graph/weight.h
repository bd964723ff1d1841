// SPDX-License-Identifier: Apache-2.0
// Weights by name: their numbers, scales and format.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace quamba2 {

struct Weight {
  std::string name;  // as in the checkpoint: "backbone.layers.3.mixer.in_proj.weight"
  Tensor values;
  Tensor scales[2];
  Format format;

  Operand operand() const;
  size_t bytes() const { return values.bytes() + scales[0].bytes() + scales[1].bytes(); }
};

using WeightMap = std::map<std::string, Weight>;

// The weight as [rows, columns] floats.
std::vector<float> decode_weight(const Weight& weight);

// A float weight holding `values`.
Weight make_float_weight(std::string name, std::vector<int64_t> shape, const std::vector<float>& values);

}  // namespace quamba2
