// SPDX-License-Identifier: Apache-2.0
#include "api/mixer.h"

#include "api/load_model.h"
#include "base/check.h"
#include "graph/part.h"

namespace quamba2 {
namespace {

double stored_bytes(const Artifact& part) {
  double bytes = 0;
  for (const auto& [name, weight] : part.weights) bytes += static_cast<double>(weight.stored_bytes());
  const auto add = [&](const Encoding& encoding) {
    if (!encoding.scales.empty()) bytes += static_cast<double>(narrowed(encoding.scales).bytes());
  };
  for (const auto& [name, encoding] : part.edges) add(encoding);
  for (const auto& [name, encoding] : part.states) add(encoding);
  return bytes;
}

}  // namespace

Mixer::Mixer(std::vector<ModelData> models) : models_(std::move(models)) {
  const int64_t parts = part_count(models_[0].n_layer);
  for (int64_t p = 0; p < parts; ++p) {
    std::vector<Artifact> row;
    std::vector<double> bytes;
    for (const ModelData& model : models_) {
      QUAMBA2_CHECK(model.transforms == models_[0].transforms, "models that are mixed have the same transforms");
      row.push_back(artifact_of(part_of(model.graph, model.n_layer, p), model.transforms));
      bytes.push_back(stored_bytes(row.back()));
    }
    parts_.push_back(std::move(row));
    bytes_.push_back(std::move(bytes));
  }
}

ModelData Mixer::mix(const std::vector<uint8_t>& genome) const {
  Artifact out = parts_.back()[0];
  for (size_t i = 0; i < genome.size(); ++i) merge(parts_[i][genome[i]], &out);
  out.recipe = "w4ax";
  return assemble(std::move(out), models_[0].config, models_[0].directory);
}

}  // namespace quamba2
