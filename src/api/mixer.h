// SPDX-License-Identifier: Apache-2.0
// Quantizations of one model with different recipes, and models that take each layer from another of them.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/artifact.h"
#include "graph/model.h"

namespace quamba2 {

class Mixer {
 public:
  // All emitted with the same transforms. Weights are shared, not copied.
  explicit Mixer(std::vector<ModelData> models);

  // Layer i of models[genome[i]]; embedding and head of the first.
  ModelData mix(const std::vector<uint8_t>& genome) const;
  // Bytes of a part as stored, scales of activations included.
  double bytes(int64_t part, size_t model) const { return bytes_[static_cast<size_t>(part)][model]; }
  int64_t layers() const { return models_[0].n_layer; }
  const ModelData& model(size_t i) const { return models_[i]; }

 private:
  std::vector<ModelData> models_;
  std::vector<std::vector<Artifact>> parts_;  // [part][model]
  std::vector<std::vector<double>> bytes_;
};

}  // namespace quamba2
