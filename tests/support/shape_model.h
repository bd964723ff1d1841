// SPDX-License-Identifier: Apache-2.0
// Models of random weights in the shapes of published ones, quantized without their rounding in order of errors.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "api/load_model.h"
#include "arch/random_weights.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/model_runs.h"

namespace quamba2::testing {

// Two layers of random weights in the shape of a published model, with few words.
inline ModelData shape_model(const std::string& shape, const std::string& recipe, const RecipeOptions& options = {}) {
  constexpr int64_t kWords = 512;
  RandomModel random = random_model(shape, 2);
  random.config.set("vocab_size", kWords);
  Artifact artifact;
  for (size_t i = 0; i < random.tensors.size(); ++i) {
    RandomTensor& t = random.tensors[i];
    if (t.shape.size() == 2 && t.shape[0] > 50000) t.shape[0] = kWords;
    std::vector<float> values(static_cast<size_t>(t.elements()));
    draw_elements(t, 1, i, 0, values);
    Weight& weight = artifact.weights[t.name];
    weight.name = t.name;
    weight.values = Tensor(DType::kF32, t.shape);
    std::copy(values.begin(), values.end(), weight.values.as<float>());
  }
  const ModelData source = assemble(std::move(artifact), random.config, "");
  Calibration calibration(make_cpu_backend(0), {random_ids(64, kWords, 1), random_ids(64, kWords, 2)});
  return assemble(run_recipe(find_recipe(recipe).make(options, source), source, &calibration, {"", {"gptq"}}),
                  source.config, "");
}

}  // namespace quamba2::testing
