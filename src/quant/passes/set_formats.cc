// SPDX-License-Identifier: Apache-2.0
#include "quant/passes/passes.h"

#include "quant/roles.h"

namespace quamba2 {
namespace {

bool feeds_linear(const Graph& graph, EdgeId edge) {
  for (const Node& node : graph.nodes) {
    if (node.op == Op::kLinear && node.inputs[0] == edge) return true;
  }
  return false;
}

}  // namespace

Pass set_formats(FormatRules rules) {
  const auto run = [rules = std::move(rules)](QuantModel& model, PassContext& context) {
    const Graph& graph = model.model.graph;
    for (size_t i = 0; i < graph.weights.size(); ++i) {
      if (const auto f = rules.weight(weight_role(graph.weights[i].name))) model.weights[static_cast<int32_t>(i)] = *f;
    }
    for (size_t i = 0; i < graph.edges.size(); ++i) {
      if (graph.edges[i].slice == Slice::kPiece) continue;  // stored as its parent says
      const auto id = static_cast<EdgeId>(i);
      if (const auto f = rules.edge(edge_role(graph.edges[i].name), feeds_linear(graph, id))) model.edges[id] = *f;
    }
    for (size_t i = 0; i < graph.states.size(); ++i) {
      if (const auto f = rules.state(edge_role(graph.states[i].name))) model.states[static_cast<int32_t>(i)] = *f;
    }
    context.detail = std::to_string(model.weights.size()) + " weights, " + std::to_string(model.edges.size()) +
                     " activations, " + std::to_string(model.states.size()) + " states";
  };
  return {"set_formats", 0, facts(Fact::kFormats), facts(Fact::kRanges), false, run};
}

}  // namespace quamba2
