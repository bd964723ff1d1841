// SPDX-License-Identifier: Apache-2.0
#include "graph/part.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace quamba2 {
namespace {

bool starts_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }

// Copies nodes of one graph into another, with the edges, weights and states that they need.
class Copier {
 public:
  explicit Copier(const Graph& from) : from_(from) {}

  // Reads of `edge` become reads of `other`.
  void replace(EdgeId edge, EdgeId other) { edges_[edge] = copy_edge(other); }

  EdgeId copy_edge(EdgeId id) {
    if (id == kNone) return kNone;
    const auto known = edges_.find(id);
    if (known != edges_.end()) return known->second;
    Edge e = from_.edges[static_cast<size_t>(id)];
    e.rows = RowKind::kTokens;
    e.parent = copy_edge(e.parent);
    const auto copy = static_cast<EdgeId>(to_.edges.size());
    edges_[id] = copy;
    to_.edges.push_back(std::move(e));
    return copy;
  }

  int32_t copy_weight(int32_t id) {
    if (id == kNone) return kNone;
    const auto known = weights_.find(id);
    if (known != weights_.end()) return known->second;
    to_.weights.push_back(from_.weights[static_cast<size_t>(id)]);
    return weights_[id] = static_cast<int32_t>(to_.weights.size() - 1);
  }

  void copy_node(const Node& node) {
    Node n = node;
    for (EdgeId& e : n.inputs) e = copy_input(e);
    n.output = copy_edge(node.output);
    for (EdgeId child : from_.children(node.output, Slice::kPart)) copy_edge(child);
    for (int32_t& w : n.weights) w = copy_weight(w);
    if (n.state != kNone) {
      State s = from_.states[static_cast<size_t>(n.state)];
      s.like = copy_edge(s.like);
      to_.states.push_back(std::move(s));
      n.state = static_cast<int32_t>(to_.states.size() - 1);
    }
    to_.nodes.push_back(std::move(n));
  }

  Graph finish(EdgeId input, EdgeId output) {
    to_.input = copy_edge(input);
    to_.logits = copy_edge(output);
    verify(to_);
    return std::move(to_);
  }

 private:
  // An edge that is read together with the pieces that it is made of.
  EdgeId copy_input(EdgeId id) {
    const EdgeId copy = copy_edge(id);
    for (EdgeId piece : from_.children(id, Slice::kPiece)) copy_edge(piece);
    return copy;
  }

  const Graph& from_;
  Graph to_;
  std::map<EdgeId, EdgeId> edges_;
  std::map<int32_t, int32_t> weights_;
};

}  // namespace

int64_t part_count(int64_t n_layer) { return n_layer + 1; }

Graph part_of(const Graph& model, int64_t n_layer, int64_t part) {
  QUAMBA2_CHECK(part >= 0 && part < part_count(n_layer), "no such part");
  const bool head = part == n_layer;
  const std::string scope = head ? "head." : "layers." + std::to_string(part) + ".";
  const EdgeId input = model.find_edge(part == 0 ? "embedding" : "layers." + std::to_string(part - 1) + ".residual");
  Copier copier(model);
  copier.copy_edge(input);
  EdgeId output = kNone;
  for (const Node& node : model.nodes) {
    if (head && node.op == Op::kEmbed) copier.copy_weight(node.weights[0]);
    if (!starts_with(node.name, scope)) continue;
    if (node.op == Op::kSelectRows) {
      copier.replace(node.output, node.inputs[0]);
      continue;
    }
    copier.copy_node(node);
    output = node.output;
  }
  return copier.finish(input, output);
}

Graph up_to(const Graph& part, EdgeId edge) {
  const int32_t last = part.producer(edge);
  if (last == kNone) {  // the input itself, or pieces of a concatenation: everything that writes them
    QUAMBA2_CHECK(!part.children(edge, Slice::kPiece).empty(), part.edges[static_cast<size_t>(edge)].name);
  }
  int32_t end = last;
  for (EdgeId piece : part.children(edge, Slice::kPiece)) end = std::max(end, part.producer(piece));
  Copier copier(part);
  copier.copy_edge(part.input);
  for (int32_t i = 0; i <= end; ++i) copier.copy_node(part.nodes[static_cast<size_t>(i)]);
  return copier.finish(part.input, edge);
}

}  // namespace quamba2
