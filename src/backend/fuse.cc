// SPDX-License-Identifier: Apache-2.0
#include "backend/fuse.h"

#include <algorithm>

#include "backend/buffers.h"

namespace quamba2 {
namespace {

struct Fuser {
  Graph* graph;
  const KernelTable& table;
  const PlanLimits& limits;
  DType float_type;

  // Whether a row takes the node as it is.
  bool is_supported(const Node& node) const {
    const ShapesOnly shapes(*graph, limits, float_type);
    return std::visit(
        [&](const auto& args) {
          const auto rows = rows_of(table, args);
          return std::any_of(rows.rows, rows.rows + rows.count,
                             [&](const auto& row) { return row.supports(args).refusal == nullptr; });
        },
        bind(*graph, node, shapes));
  }

  bool is_plain_float(EdgeId edge) const {
    const Edge& e = graph->edges[static_cast<size_t>(edge)];
    return e.encoding.format.levels == 0 && e.encoding.format.storage == DType::kF32 && e.slice == Slice::kWhole &&
           graph->children(edge, Slice::kPart).empty() && graph->children(edge, Slice::kPiece).empty();
  }

  int readers(EdgeId edge) const {
    int n = edge == graph->logits ? 1 : 0;
    for (const Node& node : graph->nodes)
      n += static_cast<int>(std::count(node.inputs.begin(), node.inputs.end(), edge));
    for (const State& s : graph->states) n += s.like == edge ? 1 : 0;
    return n;
  }

  // `second` reads what `first` wrote just before.
  bool merge(const Node& first, const Node& second, Node* merged) const {
    if (!is_plain_float(first.output) || second.inputs[0] != first.output) return false;
    if (first.op == Op::kAdd && second.op == Op::kRmsNorm && second.sum == kNone) {
      *merged = second;
      merged->inputs = first.inputs;
      merged->sum = first.output;
      return is_plain_float(first.inputs[0]) && is_plain_float(first.inputs[1]) && is_supported(*merged);
    }
    if (second.op != Op::kHadamard || readers(first.output) != 1) return false;
    const bool transposed = std::get<HadamardAttributes>(second.attributes).transposed;
    const Rotation rotation = transposed ? Rotation::kTransposedHadamard : Rotation::kHadamard;
    *merged = first;
    merged->output = second.output;
    if (first.op == Op::kGate) {
      merged->attributes = GateAttributes{rotation};
    } else if (first.op == Op::kGatedRmsNorm) {
      std::get<GatedNormAttributes>(merged->attributes).rotation = rotation;
    } else {
      return false;
    }
    return is_supported(*merged);
  }
};

}  // namespace

void fuse(Graph* graph, const KernelTable& table, const PlanLimits& limits, DType float_type) {
  const Fuser fuser{graph, table, limits, float_type};
  for (size_t i = 0; i + 1 < graph->nodes.size(); ++i) {
    Node merged;
    if (!fuser.merge(graph->nodes[i], graph->nodes[i + 1], &merged)) continue;
    graph->nodes[i] = std::move(merged);
    graph->nodes.erase(graph->nodes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

}  // namespace quamba2
