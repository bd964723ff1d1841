// SPDX-License-Identifier: Apache-2.0
// Weights by name: their numbers, scales and format.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/space.h"
#include "tensor/tensor.h"

namespace quamba2 {

struct Weight {
  std::string name;  // as in the checkpoint: "backbone.layers.3.mixer.in_proj.weight"
  Tensor values;
  Tensor scales[2];
  Format format;
  // Small parameters are widened to f32 in memory; this is what the checkpoint stores and what is written again.
  DType stored = DType::kF32;
  std::vector<Axis> axes;  // a label a dimension; empty where nothing is known

  Operand operand() const;
  // As on disk, scales included. A widened parameter that changed in the meantime is stored as it is in memory.
  Format stored_format() const;
  size_t stored_bytes() const;
  Tensor stored_values() const;
};

using WeightMap = std::map<std::string, Weight>;

// The weight as [rows, columns] floats.
std::vector<float> decode_weight(const Weight& weight);

// A float weight holding `values`.
Weight make_float_weight(std::string name, std::vector<int64_t> shape, const std::vector<float>& values);

}  // namespace quamba2
