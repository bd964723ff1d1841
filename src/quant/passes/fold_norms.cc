// SPDX-License-Identifier: Apache-2.0
#include "quant/edit.h"
#include "quant/passes/passes.h"
#include "quant/roles.h"

namespace quamba2 {
namespace {

std::vector<const Node*> readers(const Graph& graph, EdgeId edge) {
  std::vector<const Node*> out;
  for (const Node& node : graph.nodes) {
    for (EdgeId input : node.inputs) {
      if (input == edge) out.push_back(&node);
    }
  }
  return out;
}

// The norm's scale can go into a linear only where that linear's table serves nothing else (a tied head's does).
bool can_fold(const QuantPart& part, const std::vector<const Node*>& linears) {
  for (const Node* n : linears) {
    if (n->op != Op::kLinear || (part.head && part.tied)) return false;
  }
  return !linears.empty();
}

void fold_into(Graph* graph, Node* linear, const std::vector<float>& scale, const std::vector<float>& shift) {
  const auto index = static_cast<size_t>(linear->weights[0]);
  const std::string name = graph->weights[index].name;
  const std::vector<int64_t> shape = graph->weights[index].values.shape();
  std::vector<float> w = decode_weight(graph->weights[index]);
  const auto columns = static_cast<size_t>(shape[1]);
  if (!shift.empty()) {
    std::vector<float> bias(static_cast<size_t>(shape[0]), 0.0f);
    if (linear->weights[1] != kNone) bias = decode_weight(graph->weights[static_cast<size_t>(linear->weights[1])]);
    for (size_t n = 0; n < bias.size(); ++n) {
      double sum = bias[n];
      for (size_t k = 0; k < columns; ++k) sum += static_cast<double>(w[n * columns + k]) * shift[k];
      bias[n] = static_cast<float>(sum);
    }
    if (linear->weights[1] == kNone) {
      linear->weights[1] = static_cast<int32_t>(graph->weights.size());
      graph->weights.emplace_back();
    }
    Weight& target = graph->weights[static_cast<size_t>(linear->weights[1])];
    target = make_float_weight(bias_name(name), {shape[0]}, bias);
    target.axes = {graph->weights[index].axes[0]};
  }
  for (size_t i = 0; i < w.size(); ++i) w[i] *= scale[i % columns];
  set_floats(&graph->weights[index], w);
}

void fold(QuantPart& part, PassContext& context) {
  Graph& graph = part.graph;
  int folded = 0, kept = 0;
  for (const Node& norm : graph.nodes) {
    const bool layer_norm = norm.op == Op::kLayerNorm;
    if ((norm.op != Op::kRmsNorm && !layer_norm) || norm.weights[0] == kNone) continue;
    const std::vector<const Node*> linears = readers(graph, norm.output);
    if (!can_fold(part, linears)) {
      ++kept;
      continue;
    }
    Weight& weight = graph.weights[static_cast<size_t>(norm.weights[0])];
    const std::vector<float> scale = decode_weight(weight);
    std::vector<float> shift;
    if (layer_norm && norm.weights[1] != kNone) {
      Weight& bias = graph.weights[static_cast<size_t>(norm.weights[1])];
      shift = decode_weight(bias);
      set_floats(&bias, std::vector<float>(shift.size(), 0.0f));
    }
    set_floats(&weight, std::vector<float>(scale.size(), 1.0f));
    for (const Node* n : linears) fold_into(&graph, const_cast<Node*>(n), scale, shift);
    ++folded;
  }
  context.detail =
      std::to_string(folded) + " norms" + (kept ? ", " + std::to_string(kept) + " kept (shared table)" : "");
}

}  // namespace

Pass fold_norms() { return {"fold_norms", 0, facts(Fact::kNormsFolded), facts(Fact::kRanges), true, fold}; }

}  // namespace quamba2
