// SPDX-License-Identifier: Apache-2.0
// The residual stream turned by an orthonormal Hadamard matrix, offline: everything that reads or writes it absorbs H
// (method.md 2.3). An RMS norm with weights of one commutes with that.
#include <algorithm>

#include "base/check.h"
#include "quant/edit.h"
#include "quant/passes/passes.h"
#include "tensor/hadamard.h"

namespace quamba2 {
namespace {

// Weights of norms scale the stream's own basis: only ones may be turned, and they stay as they are.
bool is_norm_weight(const Graph& graph, int32_t weight) {
  for (const Node& node : graph.nodes) {
    if ((node.op == Op::kRmsNorm || node.op == Op::kLayerNorm) && node.weights[0] == weight) return true;
  }
  return false;
}

// A tied head cannot take its norm's weights into the table: the stream is turned back for the norm, and forth again for the
// table, which is turned for its other use.
void turn_head(Graph* graph) {
  int32_t norm = kNone;
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    if (graph->nodes[i].op == Op::kRmsNorm) norm = static_cast<int32_t>(i);
  }
  QUAMBA2_CHECK(norm != kNone, "the head has no RMS norm");
  insert_before(graph, norm, 0, Op::kHadamard, HadamardAttributes{true}, "turned_back");
  Node& node = graph->nodes[static_cast<size_t>(norm) + 1];
  node.name = graph->edges[static_cast<size_t>(node.output)].name = "head.normed";
  graph->weights[static_cast<size_t>(node.weights[0])].axes.clear();
  insert_before(graph, find_node(*graph, "head.logits"), 0, Op::kHadamard, HadamardAttributes{false}, "u");
}

void rotate(QuantPart& part, PassContext& context) {
  if (!context.calibration.rotated()) context.calibration.rotate();
  if (part.head && part.tied) turn_head(&part.graph);
  const Stream stream = context.calibration.backend().stream();
  int sides = 0;
  for (size_t w = 0; w < part.graph.weights.size(); ++w) {
    Weight& weight = part.graph.weights[w];
    for (size_t d = 0; d < weight.axes.size(); ++d) {
      if (!is_labelled(weight, d, Space::kResidual)) continue;
      if (is_norm_weight(part.graph, static_cast<int32_t>(w))) {
        const std::vector<float> ones = decode_weight(weight);
        QUAMBA2_CHECK(std::all_of(ones.begin(), ones.end(), [](float v) { return v == 1.0f; }), weight.name);
        continue;
      }
      change_lines(
          &weight, d,
          [](std::vector<double>& line) { hadamard_transform(line.data(), static_cast<int64_t>(line.size()), false); },
          &stream);
      ++sides;
    }
  }
  part.transforms.residual = true;
  context.detail = std::to_string(sides) + " sides";
}

std::string left_out(const ModelData& model) {
  if (!has_hadamard(model.d_model)) return "there is no Hadamard matrix of order " + std::to_string(model.d_model);
  for (const Node& node : model.graph.nodes) {
    if (node.op == Op::kLayerNorm) return "a LayerNorm does not commute with a rotation";
  }
  return "";
}

}  // namespace

Pass rotate_residual() {
  return {
      "rotate_residual", facts(Fact::kNormsFolded), facts(Fact::kResidualRotated), facts(Fact::kRanges), true, rotate,
      left_out};
}

}  // namespace quamba2
