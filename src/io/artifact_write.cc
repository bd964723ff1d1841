// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "io/artifact.h"
#include "io/artifact_names.h"
#include "io/safetensors.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

bool ends_with(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// Convolutions go out as they came in: [C, 1, K].
Tensor as_stored(const Weight& weight) {
  const Tensor t = weight.stored_values();
  if (!ends_with(weight.name, "conv1d.weight") || t.shape().size() != 2) return t;
  return t.reinterpreted(t.dtype(), {t.dim(0), 1, t.dim(1)});
}

void add_weight(const Weight& weight, NamedTensors* out) {
  if (weight.format.levels == 0) {
    out->push_back({weight.name, as_stored(weight)});
    return;
  }
  const Tensor& values = weight.values;
  const Tensor scales = narrowed(weight.scales[0]);
  const bool rows = weight.format.level[0].grain == Grain::kRow;
  out->push_back({scale_name(weight.name), rows ? scales.reinterpreted(scales.dtype(), {values.dim(0), 1}) : scales});
  if (values.dtype() == DType::kI8) {
    out->push_back({weight.name, as_stored(weight)});
    return;
  }
  if (weight.format.levels == 2) {
    out->push_back({channel_scale_name(weight.name), weight.scales[1].reinterpreted(DType::kF32, {values.dim(0), 1})});
  }
  out->push_back({packed_name(weight.name), values});
  Tensor shape(DType::kI64, {2});
  shape.as<int64_t>()[0] = values.dim(0);
  shape.as<int64_t>()[1] = values.dim(1);
  out->push_back({shape_name(weight.name), shape});
}

void add_encoding(const std::string& name, const Encoding& encoding, Json* section, NamedTensors* out) {
  if (encoding.format.levels == 0 && encoding.format.storage == DType::kF32) return;
  section->set(name, std::string(name_of(encoding.format.storage)) + (encoding.format.dynamic ? " dynamic" : ""));
  if (!encoding.scales.empty()) out->push_back({encoding_scale_name(name), narrowed(encoding.scales)});
}

std::string module_of(const std::string& weight) {
  return ends_with(weight, ".weight") ? weight.substr(0, weight.size() - 7) : weight;
}

// compressed-tensors' description of one weight format: a config group with the modules that have it.
Json weight_group(const Weight& weight, Json targets) {
  const bool group = weight.format.level[0].grain == Grain::kGroup;
  Json arguments;
  arguments.set("num_bits", bits_of(weight.format.storage));
  arguments.set("type", "int");
  arguments.set("symmetric", true);
  arguments.set("strategy", group ? "group" : "channel");
  arguments.set("group_size", group ? Json(static_cast<int>(weight.format.level[0].group)) : Json(nullptr));
  arguments.set("dynamic", false);
  Json out;
  out.set("targets", std::move(targets));
  out.set("weights", std::move(arguments));
  out.set("input_activations", nullptr);
  out.set("output_activations", nullptr);
  return out;
}

Json config_groups(const WeightMap& weights) {
  std::vector<std::pair<const Weight*, Json>> groups;
  for (const auto& [name, weight] : weights) {
    if (weight.format.levels == 0) continue;
    auto at = groups.begin();
    while (at != groups.end() && !(at->first->format == weight.format)) ++at;
    if (at == groups.end()) at = groups.insert(at, {&weight, Json(Json::Array{})});
    at->second.push_back(module_of(name));
  }
  Json out(Json::Object{});
  for (size_t i = 0; i < groups.size(); ++i)
    out.set("group_" + std::to_string(i), weight_group(*groups[i].first, groups[i].second));
  return out;
}

Json describe_weights(const WeightMap& weights) {
  Json out(Json::Object{});
  for (const auto& [name, weight] : weights) {
    if (weight.format.levels == 0) continue;
    Json format;
    format.set("bits", bits_of(weight.format.storage));
    if (weight.format.level[0].grain == Grain::kGroup)
      format.set("group_size", static_cast<int>(weight.format.level[0].group));
    if (weight.format.levels == 2) format.set("levels", 2);
    out.set(name, std::move(format));
  }
  return out;
}

Json describe_transforms(const Transforms& transforms) {
  Json out(Json::Object{});
  if (transforms.residual) out.set("residual", "hadamard");
  if (transforms.inner) out.set("inner", "hadamard");
  if (transforms.x_proj_row) out.set("x_proj", "row");
  return out;
}

Json quantization_config(const Artifact& artifact, Json ours) {
  bool packed = false, plain = false;
  for (const auto& [name, w] : artifact.weights) {
    if (w.format.levels > 0) (w.format.storage == DType::kI8 ? plain : packed) = true;
  }
  Json out;
  out.set("quant_method", "compressed-tensors");
  out.set("format", packed && plain ? "mixed-precision" : packed ? "pack-quantized" : "int-quantized");
  out.set("quantization_status", "compressed");
  out.set("config_groups", config_groups(artifact.weights));
  out.set("ignore", Json(Json::Array{}));
  out.set("kv_cache_scheme", nullptr);
  out.set("quamba2", std::move(ours));
  return out;
}

}  // namespace

Json describe_artifact(const Artifact& artifact, NamedTensors* tensors) {
  Json edges(Json::Object{}), states(Json::Object{});
  for (const auto& [name, weight] : artifact.weights) add_weight(weight, tensors);
  for (const auto& [name, encoding] : artifact.edges) add_encoding(name, encoding, &edges, tensors);
  for (const auto& [name, encoding] : artifact.states) add_encoding(name, encoding, &states, tensors);
  Json ours;
  ours.set("version", kArtifactVersion);
  ours.set("recipe", artifact.recipe);
  ours.set("transforms", describe_transforms(artifact.transforms));
  ours.set("weights", describe_weights(artifact.weights));
  ours.set("edges", std::move(edges));
  ours.set("states", std::move(states));
  return ours;
}

void write_artifact(const ModelData& model, const std::string& directory, bool replace) {
  AtomicDirectory out(directory, replace);
  Artifact artifact = artifact_of(model.graph, model.transforms);
  artifact.recipe = model.recipe;
  NamedTensors tensors;
  Json ours = describe_artifact(artifact, &tensors);
  Json config = model.config;
  if (!model.recipe.empty() || !(model.transforms == Transforms{}))
    config.set("quantization_config", quantization_config(artifact, std::move(ours)));
  // A table that turned out to be shared is stored once, and the config has to say so.
  config.set(config.find("ssm_cfg") || config.find("d_model") ? "tie_embeddings" : "tie_word_embeddings", model.tied);
  write_checkpoint(out.path(), tensors);
  write_file(join_path(out.path(), "config.json"), config.dump() + "\n");
  if (is_directory(model.directory)) copy_side_files(model.directory, out.path());
  for (const auto& [name, text] : model.notes) write_file(join_path(out.path(), name), text);
  out.commit();
}

}  // namespace quamba2
