// SPDX-License-Identifier: Apache-2.0
// Models with the shapes of known checkpoints and random weights: for tests of speed and memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/dtype.h"

namespace quamba2 {

// The state-spaces initialisation (mamba_ssm: Mamba, Mamba2, MambaLMHeadModel).
enum class Draw : uint8_t {
  kConstant,     // scale
  kNormal,       // scale * N(0, 1)
  kUniform,      // U(-scale, scale)
  kDtBias,       // inverse softplus of logUniform(0.001, 0.1)
  kLogUniformA,  // log U(1, 16)
  kLogCountA     // log of 1 .. N along the row
};

struct RandomTensor {
  std::string name;
  std::vector<int64_t> shape;
  DType dtype = DType::kBF16;  // or kF32
  Draw draw = Draw::kConstant;
  double scale = 1;
  int64_t elements() const;
};

struct RandomModel {
  Json config;  // state-spaces config.json
  std::vector<RandomTensor> tensors;
};

std::vector<std::string> random_model_names();  // "mamba2-130m", ...

// `layers` of 0 means all of that model. Throws Error{kUsage} for an unknown name or too many layers.
RandomModel random_model(const std::string& name, int64_t layers);

// Elements [first, first + out.size()) of tensor `index`: what they are depends on seed, index and place alone.
void draw_elements(const RandomTensor& tensor, uint64_t seed, uint64_t index, int64_t first, std::span<float> out);

}  // namespace quamba2
