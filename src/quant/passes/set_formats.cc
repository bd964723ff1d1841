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

void set(QuantPart& part, PassContext& context, const FormatRules& rules) {
  const Graph& graph = part.graph;
  const int64_t layer = part.head ? -1 : part.index;
  for (size_t i = 0; i < graph.weights.size(); ++i) {
    const auto f = rules.weight(weight_role(graph.weights[i].name), layer);
    if (f) part.weights[static_cast<int32_t>(i)] = *f;
  }
  for (size_t i = 0; i < graph.edges.size(); ++i) {
    const auto id = static_cast<EdgeId>(i);
    // A piece is stored as its parent says; the stream on both ends of a part stays in float.
    if (graph.edges[i].slice == Slice::kPiece || id == graph.input || id == graph.logits) continue;
    const auto t = rules.edge(edge_role(graph.edges[i].name), feeds_linear(graph, id), layer);
    if (t) part.edges[id] = *t;
  }
  for (size_t i = 0; i < graph.states.size(); ++i) {
    const auto t = rules.state(edge_role(graph.states[i].name), layer);
    if (t) part.states[static_cast<int32_t>(i)] = *t;
  }
  context.detail = std::to_string(part.weights.size()) + " weights, " + std::to_string(part.edges.size()) +
                   " activations, " + std::to_string(part.states.size()) + " states";
}

}  // namespace

Pass set_formats(FormatRules rules) {
  const auto run = [rules = std::move(rules)](QuantPart& part, PassContext& context) { set(part, context, rules); };
  return {"set_formats", 0, facts(Fact::kFormats), facts(Fact::kRanges), false, run};
}

}  // namespace quamba2
