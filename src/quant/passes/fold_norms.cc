// SPDX-License-Identifier: Apache-2.0
#include "quant/passes/passes.h"

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

int count_uses(const Graph& graph, int32_t weight) {
  int uses = 0;
  for (const Node& node : graph.nodes) {
    for (int32_t w : node.weights) uses += w == weight;
  }
  return uses;
}

// The norm's scale can go into a linear only where that linear's table serves nothing else (a tied head's does).
bool can_fold(const Graph& graph, const std::vector<const Node*>& linears) {
  for (const Node* n : linears) {
    if (n->op != Op::kLinear || count_uses(graph, n->weights[0]) != 1) return false;
  }
  return !linears.empty();
}

std::string bias_name(const std::string& weight) { return weight.substr(0, weight.rfind(".weight")) + ".bias"; }

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
    graph->weights[static_cast<size_t>(linear->weights[1])] = make_float_weight(bias_name(name), {shape[0]}, bias);
  }
  for (size_t i = 0; i < w.size(); ++i) w[i] *= scale[i % columns];
  graph->weights[index] = make_float_weight(name, shape, w);
}

void fold(QuantModel& model, PassContext& context) {
  Graph& graph = model.model.graph;
  int folded = 0, kept = 0;
  for (const Node& norm : graph.nodes) {
    const bool layer_norm = norm.op == Op::kLayerNorm;
    if ((norm.op != Op::kRmsNorm && !layer_norm) || norm.weights[0] == kNone) continue;
    const std::vector<const Node*> linears = readers(graph, norm.output);
    if (!can_fold(graph, linears)) {
      ++kept;
      continue;
    }
    Weight& weight = graph.weights[static_cast<size_t>(norm.weights[0])];
    const std::vector<float> scale = decode_weight(weight);
    std::vector<float> shift;
    if (layer_norm && norm.weights[1] != kNone) {
      Weight& bias = graph.weights[static_cast<size_t>(norm.weights[1])];
      shift = decode_weight(bias);
      bias = make_float_weight(bias.name, {static_cast<int64_t>(shift.size())}, std::vector<float>(shift.size(), 0.0f));
    }
    const DType stored = weight.stored;
    weight =
        make_float_weight(weight.name, {static_cast<int64_t>(scale.size())}, std::vector<float>(scale.size(), 1.0f));
    weight.stored = stored;
    for (const Node* n : linears) fold_into(&graph, const_cast<Node*>(n), scale, shift);
    ++folded;
  }
  context.detail =
      std::to_string(folded) + " norms" + (kept ? ", " + std::to_string(kept) + " kept (shared table)" : "");
}

}  // namespace

Pass fold_norms() { return {"fold_norms", 0, facts(Fact::kNormsFolded), facts(Fact::kRanges), true, fold}; }

}  // namespace quamba2
