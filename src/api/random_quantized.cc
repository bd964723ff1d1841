// SPDX-License-Identifier: Apache-2.0
// Models in memory that have the cost of known ones: one layer is drawn and quantized, the others are copies of it.
#include <algorithm>
#include <cstring>

#include "api/engine_impl.h"
#include "api/load_model.h"
#include "api/recipe_choice.h"
#include "arch/random_weights.h"
#include "base/random.h"
#include "quamba2/random_model.h"
#include "quant/pipeline.h"
#include "tensor/convert.h"

namespace quamba2 {
namespace {

constexpr int64_t kPiece = 1 << 20;  // elements
// Enough for ranges of activations; the model is not meant to be good.
constexpr int64_t kWindows = 2, kTokens = 128;

Weight draw(const RandomTensor& tensor, uint64_t seed, uint64_t index) {
  Weight out;
  out.name = tensor.name;
  out.values = Tensor(tensor.dtype, tensor.shape);
  std::vector<float> piece;
  for (int64_t at = 0; at < tensor.elements(); at += kPiece) {
    piece.resize(static_cast<size_t>(std::min(kPiece, tensor.elements() - at)));
    draw_elements(tensor, seed, index, at, piece);
    if (tensor.dtype == DType::kF32) {
      std::copy(piece.begin(), piece.end(), out.values.as<float>() + at);
    } else {
      std::transform(piece.begin(), piece.end(), out.values.as<uint16_t>() + at, f32_to_bf16);
    }
  }
  return out;
}

ModelData draw_model(const RandomModel& random, uint64_t seed) {
  Artifact artifact;
  for (size_t i = 0; i < random.tensors.size(); ++i)
    artifact.weights[random.tensors[i].name] = draw(random.tensors[i], seed, i);
  return assemble(std::move(artifact), random.config, "");
}

Artifact quantized(const ModelData& model, QuantizeOptions options) {
  if (options.recipe.empty()) return artifact_of(model.graph, model.transforms);
  options.skip = {"gptq"};
  Random random(options.seed);
  std::vector<std::vector<int32_t>> windows(kWindows);
  for (auto& window : windows) {
    for (int64_t t = 0; t < kTokens; ++t) window.push_back(static_cast<int32_t>(random.below(model.vocab_size)));
  }
  Calibration calibration(make_backend("cpu", options.threads), std::move(windows));
  return run_recipe(choose_recipe(options, model), model, &calibration, {"", options.skip});
}

// Memory of its own: layers that shared theirs would be read from a cache.
Tensor copied(const Tensor& tensor) {
  if (tensor.empty()) return tensor;
  Tensor out(tensor.dtype(), tensor.shape());
  std::memcpy(out.data(), tensor.data(), std::min(out.bytes(), tensor.bytes()));
  return out;
}

// "layers.0" becomes "layers.<layer>"; empty where the name is of no layer.
std::string of_layer(const std::string& name, int64_t layer) {
  const std::string first = "layers.0.";
  const size_t at = name.find(first);
  if (at == name.npos) return "";
  return name.substr(0, at) + "layers." + std::to_string(layer) + "." + name.substr(at + first.size());
}

Artifact repeated(Artifact one, int64_t layers) {
  Artifact out = one;
  for (int64_t l = 1; l < layers; ++l) {
    for (const auto& [name, weight] : one.weights) {
      const std::string target = of_layer(name, l);
      if (target.empty()) continue;
      Weight copy = weight;
      copy.name = target;
      copy.values = copied(weight.values);
      for (Tensor& scales : copy.scales) scales = copied(scales);
      out.weights[target] = std::move(copy);
    }
    for (const auto& [name, encoding] : one.edges) {
      if (!of_layer(name, l).empty()) out.edges[of_layer(name, l)] = encoding;
    }
    for (const auto& [name, encoding] : one.states) {
      if (!of_layer(name, l).empty()) out.states[of_layer(name, l)] = encoding;
    }
  }
  return out;
}

}  // namespace

Model make_random_model(const RandomModelOptions& options, const QuantizeOptions& quantize) {
  Json config = random_model(options.shape, options.layers).config;
  const ModelData one = draw_model(random_model(options.shape, 1), options.seed);
  QuantizeOptions of_one = quantize;
  of_one.layers.resize(std::min<size_t>(of_one.layers.size(), 1));
  Artifact artifact = repeated(quantized(one, of_one), config.get("n_layer", 1));
  artifact.recipe = quantize.recipe;
  Model model = Model::from_data(std::make_unique<ModelData>(assemble(std::move(artifact), config, "")));
  model.data().name = options.shape;
  return model;
}

}  // namespace quamba2
