// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "io/artifact.h"
#include "io/artifact_names.h"
#include "quamba2/error.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

[[noreturn]] void damaged(const std::string& what, const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kModelFile, what, where, why,
              "the model directory is damaged or was written by another program");
}

const Tensor& require(const Checkpoint& checkpoint, const std::string& name, const std::string& beside) {
  const auto at = checkpoint.tensors.find(name);
  if (at == checkpoint.tensors.end()) damaged("missing tensor", name, "it belongs to " + beside);
  return at->second;
}

ScaleLevel level_for(const Tensor& scales, int64_t rows, int64_t columns, int64_t group, const std::string& name) {
  ScaleLevel level;
  level.dtype = scales.dtype();
  if (scales.dtype() != DType::kF32 && scales.dtype() != DType::kF16)
    damaged("unsupported scales", name, name_of(scales.dtype()));
  if (group == 0) {
    if (scales.elements() != rows)
      damaged("wrong number of scales", name, shape_text(scales.shape()) + " for " + std::to_string(rows) + " rows");
    level.grain = Grain::kRow;
    return level;
  }
  if (group < 1 || group > 32767 || scales.shape() != std::vector<int64_t>{rows, (columns + group - 1) / group}) {
    damaged("wrong number of scales", name, shape_text(scales.shape()) + " for groups of " + std::to_string(group));
  }
  level.grain = Grain::kGroup;
  level.group = static_cast<int16_t>(group);
  return level;
}

// The outer level of a two-level weight.
void add_channel_scales(const Checkpoint& checkpoint, Weight* weight) {
  const std::string name = channel_scale_name(weight->name);
  const Tensor scales = widened(require(checkpoint, name, weight->name));
  const ScaleLevel &inner = weight->format.level[0], outer = level_for(scales, weight->values.dim(0), 0, 0, name);
  if (weight->values.dtype() != DType::kI4 || inner.grain != Grain::kGroup || outer.dtype != DType::kF32)
    damaged("unsupported weight format", name, "two levels are F32 scales of rows over groups of 4 bits");
  weight->scales[1] = scales.reinterpreted(DType::kF32, {weight->values.dim(0)});
  weight->format.level[1] = outer;
  weight->format.levels = 2;
}

// A packed weight: <module>.weight_packed, weight_scale, weight_shape and, with two levels, weight_channel_scale.
Weight read_packed(const Checkpoint& checkpoint, const std::string& name, int64_t bits, int64_t group, int64_t levels) {
  const Tensor& packed = require(checkpoint, packed_name(name), name);
  const Tensor& shape = require(checkpoint, shape_name(name), name);
  if (shape.dtype() != DType::kI64 || shape.elements() != 2)
    damaged("wrong tensor shape", shape_name(name), "two I64 values are expected");
  const auto* dims = shape.as<const int64_t>();
  if (levels < 1 || levels > 2)
    damaged("unsupported weight format", name, std::to_string(levels) + " levels of scales");
  if (bits != 4 && bits != 6) damaged("unsupported weight format", name, std::to_string(bits) + " bits");
  Weight out;
  out.name = name;
  out.values = packed.reinterpreted(bits == 4 ? DType::kI4 : DType::kI6, {dims[0], dims[1]});
  out.scales[0] = widened(require(checkpoint, scale_name(name), name));
  out.format.storage = out.values.dtype();
  out.format.levels = 1;
  out.format.level[0] = level_for(out.scales[0], dims[0], dims[1], group, scale_name(name));
  if (out.format.level[0].grain == Grain::kRow)
    out.scales[0] = out.scales[0].reinterpreted(out.scales[0].dtype(), {dims[0]});
  if (levels == 2) add_channel_scales(checkpoint, &out);
  return out;
}

Weight read_int8(const Checkpoint& checkpoint, const std::string& name) {
  Weight out;
  out.name = name;
  out.values = require(checkpoint, name, name);
  if (out.values.dtype() != DType::kI8 || out.values.shape().size() < 2)
    damaged("unsupported weight format", name, "int8 rows are expected");
  const Tensor scales = widened(require(checkpoint, scale_name(name), name));
  out.format.storage = DType::kI8;
  out.format.levels = 1;
  out.format.level[0] = level_for(scales, out.values.dim(0), out.values.dim(1), 0, scale_name(name));
  out.scales[0] = scales.reinterpreted(scales.dtype(), {out.values.dim(0)});
  return out;
}

std::map<std::string, Encoding> read_encodings(const Checkpoint& checkpoint, const Json* section, const char* kind,
                                               Grain dynamic) {
  std::map<std::string, Encoding> out;
  if (!section) return out;
  for (const auto& [name, type] : section->as_object(kind)) {
    const std::string& text = type.as_string(name);
    Encoding e;
    if (text == "f16") {
      e.format.storage = DType::kF16;
    } else if (text == "i8") {
      e.format.storage = DType::kI8;
      e.format.levels = 1;
      e.scales = widened(require(checkpoint, encoding_scale_name(name), name));
      if (e.scales.dtype() != DType::kF32) damaged("unsupported scales", name, "F32 or BF16 is expected");
      e.format.level[0].grain = e.scales.elements() == 1 ? Grain::kTensor : Grain::kColumn;
    } else if (text == "i8 dynamic") {
      e.format.storage = DType::kI8;
      e.format.levels = 1;
      e.format.level[0].grain = dynamic;
      e.format.dynamic = true;
    } else {
      damaged("unsupported format", name, "\"" + text + "\"");
    }
    out[name] = std::move(e);
  }
  return out;
}

// Each transform says which one it is, so that a reader that knows fewer of them stops here.
Transforms read_transforms(const Json* section) {
  Transforms out;
  if (!section) return out;
  for (const auto& [name, value] : section->as_object("transforms")) {
    const std::string& kind = value.as_string(name);
    bool* known = name == "residual" ? &out.residual
                  : name == "inner"  ? &out.inner
                  : name == "x_proj" ? &out.x_proj_row
                                     : nullptr;
    if (!known || kind != (name == "x_proj" ? "row" : "hadamard"))
      damaged("unsupported transform", "quantization_config.quamba2.transforms." + name, "\"" + kind + "\"");
    *known = true;
  }
  return out;
}

const Json* our_settings(const Checkpoint& checkpoint) {
  const Json* quantization = checkpoint.config.find("quantization_config");
  if (!quantization) return nullptr;
  const Json* ours = quantization->find("quamba2");
  if (!ours) {
    throw Error(ErrorCode::kModelFile, "unsupported quantized model", checkpoint.directory,
                "its quant_method is \"" + quantization->get("quant_method", "?") + "\"",
                "quantize the original checkpoint with this program");
  }
  const int64_t version = ours->get("version", 0);
  if (version != kArtifactVersion) {
    throw Error(
        ErrorCode::kModelFile, "unsupported quantized model", checkpoint.directory,
        "format version " + std::to_string(version) + ", this program reads " + std::to_string(kArtifactVersion),
        "use a newer program or quantize the original again");
  }
  return ours;
}

// A row's scale needs the whole row: no edge that is written piece by piece has one.
void check_whole_rows(const Graph& graph, EdgeId id) {
  const Edge& edge = graph.edges[static_cast<size_t>(id)];
  if (edge.slice != Slice::kPiece && graph.children(id, Slice::kPiece).empty()) return;
  damaged("unsupported format", edge.name, "an activation that is put together from pieces has no scale a row");
}

}  // namespace

Artifact read_artifact(const Checkpoint& checkpoint) {
  Artifact out;
  const Json* ours = our_settings(checkpoint);
  if (ours) {
    out.recipe = ours->get("recipe", "?");
    out.transforms = read_transforms(ours->find("transforms"));
    const Json* weights = ours->find("weights");
    if (!weights)
      damaged("missing section", "quantization_config.quamba2.weights", "it lists the formats of the weights");
    for (const auto& [name, format] : weights->as_object("weights")) {
      const int64_t bits = format.get("bits", 8), group = format.get("group_size", 0), levels = format.get("levels", 1);
      out.weights[name] = bits == 8 ? read_int8(checkpoint, name) : read_packed(checkpoint, name, bits, group, levels);
    }
    out.edges = read_encodings(checkpoint, ours->find("edges"), "edges", Grain::kRow);
    out.states = read_encodings(checkpoint, ours->find("states"), "states", Grain::kColumn);
  }
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (out.weights.count(name) || (ours && is_companion(name))) continue;
    if (!is_float(tensor.dtype())) {
      damaged("unsupported tensor type", name,
              std::string(name_of(tensor.dtype())) + " is no type of an unquantized weight");
    }
    Weight w;
    w.name = name;
    w.values = tensor;
    w.format.storage = tensor.dtype();
    out.weights[name] = std::move(w);
  }
  return out;
}

void apply_encodings(const Artifact& artifact, ModelData* model) {
  model->recipe = artifact.recipe;
  for (const auto& [name, encoding] : artifact.edges) {
    const EdgeId id = model->graph.find_edge(name);
    if (id == kNone) damaged("unknown activation", name, "this model has none of that name");
    Edge& edge = model->graph.edges[static_cast<size_t>(id)];
    if (encoding.format.dynamic) {
      check_whole_rows(model->graph, id);
    } else if (encoding.format.levels > 0 && encoding.scales.elements() != 1 &&
               encoding.scales.elements() != edge.columns) {
      damaged("wrong number of scales", name,
              std::to_string(encoding.scales.elements()) + " for " + std::to_string(edge.columns) + " columns");
    }
    edge.encoding = encoding;
  }
  for (const auto& [name, encoding] : artifact.states) {
    const int32_t id = model->graph.find_state(name);
    if (id == kNone) damaged("unknown state", name, "this model has none of that name");
    State& state = model->graph.states[static_cast<size_t>(id)];
    if (encoding.format.levels > 0 && !encoding.format.dynamic && !fits_state_scales(state, encoding.scales.shape())) {
      damaged("wrong number of scales", name,
              shape_text(encoding.scales.shape()) + " for " + std::to_string(state_channels(state)) + " channels");
    }
    state.encoding = encoding;
  }
}

}  // namespace quamba2
