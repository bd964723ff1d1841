// SPDX-License-Identifier: Apache-2.0
// What all families share: embedding, residual layers, final norm and head.
#include <cmath>
#include <cstring>

#include "arch/registry.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "quamba2/error.h"
#include "tensor/convert.h"

namespace quamba2 {
namespace {

struct Names {
  std::string embedding, head = "lm_head.weight";
};

Names find_names(const WeightMap& weights) {
  for (const char* name : {"backbone.embedding.weight", "backbone.embeddings.weight"}) {
    if (weights.count(name)) return {name};
  }
  throw Error(ErrorCode::kModelFile, "missing tensor", "backbone.embedding.weight",
              "the checkpoint has no embedding under this name or backbone.embeddings.weight",
              "check that this is a Mamba language model and that all shards are there");
}

bool same_numbers(const Weight& a, const Weight& b) {
  if (!(a.format == b.format) || a.values.dtype() != b.values.dtype() || a.values.shape() != b.values.shape())
    return false;
  if (a.values.data() == b.values.data()) return true;
  return std::memcmp(a.values.data(), b.values.data(), a.values.bytes()) == 0;
}

// A head table that repeats the embedding is the embedding: it is stored and kept in memory once.
bool is_tied(const ModelConfig& config, const WeightMap& weights, const Names& names) {
  const auto head = weights.find(names.head);
  if (head == weights.end()) {
    if (!config.tied) {
      throw Error(ErrorCode::kModelFile, "missing tensor", names.head,
                  "config.json says that the head has a table of its own", "check that all shards are there");
    }
    return true;
  }
  return same_numbers(head->second, weights.at(names.embedding));
}

// True where any 16-bit or 32-bit element has an all-ones exponent.
bool has_non_finite(const Tensor& t) {
  const auto n = static_cast<size_t>(t.elements());
  const auto* bytes = static_cast<const unsigned char*>(t.data());
  uint32_t bad = 0;
  if (t.dtype() == DType::kF32) {
    for (size_t i = 0; i < n; ++i) {
      uint32_t v;
      std::memcpy(&v, bytes + 4 * i, 4);
      bad |= static_cast<uint32_t>((v & 0x7f800000u) == 0x7f800000u);
    }
  } else if (t.dtype() == DType::kBF16 || t.dtype() == DType::kF16) {
    const auto mask = static_cast<uint16_t>(t.dtype() == DType::kBF16 ? 0x7f80 : 0x7c00);
    for (size_t i = 0; i < n; ++i) {
      uint16_t v;
      std::memcpy(&v, bytes + 2 * i, 2);
      bad |= static_cast<uint32_t>((v & mask) == mask);
    }
  } else if (t.dtype() == DType::kF64) {
    for (size_t i = 0; i < n; ++i) {
      double v;
      std::memcpy(&v, bytes + 8 * i, 8);
      bad |= static_cast<uint32_t>(!std::isfinite(v));
    }
  }
  return bad != 0;
}

// The norm in front of a mixer or the head. `space` is what its channels are: a norm whose weights act in the original
// basis of a rotated stream is no part of it.
EdgeId emit_norm(GraphBuilder& g, const ModelConfig& config, const std::string& weight, EdgeId h,
                 const std::string& name, Space space = Space::kResidual) {
  const Axis axis{{space, config.d_model}};
  const int32_t w = g.require_f32(weight + ".weight", {config.d_model});
  g.label(w, {axis});
  if (config.rms_norm) return g.rms_norm(h, w, config.norm_eps, name);
  const int32_t bias = g.find_f32(weight + ".bias", {config.d_model});
  g.label(bias, {axis});
  return g.layer_norm(h, w, bias, config.norm_eps, name);
}

// A head with its own table absorbs the rotation of the stream. One that shares the embedding's cannot absorb the norm's
// weights: the stream is turned back, normalised, and turned again (method.md 3).
EdgeId emit_head(GraphBuilder& g, const ModelConfig& config, EdgeId h, int32_t table, bool tied) {
  g.set_scope("head.");
  EdgeId u = g.select_rows(h, "selected");
  const bool turned = tied && config.mixer.transforms.residual;
  if (turned) u = g.hadamard(u, true, "turned_back");
  u = emit_norm(g, config, "backbone.norm_f", u, turned ? "normed" : "u", turned ? Space::kNone : Space::kResidual);
  if (turned) u = g.hadamard(u, false, "u");
  const int32_t bias = g.find_f32("lm_head.bias", {g.shape_of(table)[0]});  // a LayerNorm's, folded by the quantizer
  return g.linear(u, table, bias, "logits");
}

int64_t count_layers(const WeightMap& weights) {
  int64_t n = 0;
  while (weights.count("backbone.layers." + std::to_string(n) + ".norm.weight")) ++n;
  return n;
}

}  // namespace

void check_finite(const Graph& graph) {
  for (const Weight& weight : graph.weights) {
    for (const Tensor* t : {&weight.values, &weight.scales[0], &weight.scales[1]}) {
      if (t->empty() || !has_non_finite(*t)) continue;
      throw Error(ErrorCode::kModelFile, "weight is not finite", weight.name, "it contains NaN or infinity",
                  "the checkpoint is damaged or its training diverged; fetch it again");
    }
    weight.values.release_pages();
  }
}

ModelData build_model(const Json& json, WeightMap weights, const std::string& directory, const Transforms& transforms) {
  ModelConfig config = parse_config(json, join_path(directory, "config.json"));
  config.mixer.transforms = transforms;
  const Names names = find_names(weights);
  const bool tied = is_tied(config, weights, names);
  if (tied) weights.erase(names.head);
  config.n_layer = agree("n_layer", config.n_layer, count_layers(weights), "backbone.layers.*.norm.weight");
  if (config.n_layer == 0)
    throw Error(ErrorCode::kModelFile, "missing tensor", "backbone.layers.0.norm.weight",
                "the checkpoint has no layers");
  const Family* family = find_family(config.family);

  GraphBuilder g(std::move(weights));
  const int32_t table = g.require(names.embedding, {-1, -1});
  const int64_t rows = g.shape_of(table)[0];
  config.d_model = agree("d_model", config.d_model, g.shape_of(table)[1], names.embedding);
  if (config.vocab_size == kUnset) config.vocab_size = rows;
  if (config.vocab_size > rows) agree("vocab_size", config.vocab_size, rows, names.embedding);

  const std::vector<Axis> table_axes{{{Space::kNone, rows}}, {{Space::kResidual, config.d_model}}};
  g.label(table, table_axes);

  EdgeId h = g.embed(table, "embedding");
  for (int64_t i = 0; i < config.n_layer; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    g.set_scope(layer);
    const EdgeId u = emit_norm(g, config, "backbone." + layer + "norm", h, "u");
    h = g.add(h, family->emit_mixer(g, config.mixer, "backbone." + layer + "mixer.", u), "residual");
  }
  const int32_t head = tied ? table : g.require(names.head, {rows, config.d_model});
  g.label(head, table_axes);
  const EdgeId logits = emit_head(g, config, h, head, tied);

  ModelData model;
  for (const std::string& name : g.unused()) log(LogLevel::kWarning, "tensor " + name + " is not used by this model");
  model.directory = directory;
  model.name = base_name(directory);
  model.config = json;
  model.family = config.family;
  model.d_model = config.d_model;
  model.n_layer = config.n_layer;
  model.vocab_size = config.vocab_size;
  model.tied = tied;
  model.transforms = transforms;
  model.graph = g.finish(logits);
  return model;
}

}  // namespace quamba2
