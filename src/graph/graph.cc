// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <algorithm>

#include "base/check.h"
#include "tensor/operand.h"

namespace quamba2 {

int64_t state_channels(const State& state) {
  return state.shape.size() == 3 ? int64_t{state.shape[0]} * state.shape[2] : state.shape.back();
}

int64_t dynamic_state_scales(const State& state) {
  return state_channels(state) * state_blocks(state.shape[state.shape.size() - 2]);
}

bool fits_state_scales(const State& state, const std::vector<int64_t>& scales) {
  const std::vector<int64_t> whole(state.shape.begin(), state.shape.end());
  std::vector<int64_t> channels = whole;
  channels.erase(channels.end() - 2);
  return scales == whole || scales == channels || scales == std::vector<int64_t>{1};
}

const char* name_of(Op op) {
  switch (op) {
    case Op::kEmbed: return "embed";
    case Op::kSelectRows: return "select_rows";
    case Op::kRmsNorm: return "rms_norm";
    case Op::kLayerNorm: return "layer_norm";
    case Op::kLinear: return "linear";
    case Op::kCausalConv1d: return "causal_conv1d";
    case Op::kSelectiveScan: return "selective_scan";
    case Op::kSsdScan: return "ssd_scan";
    case Op::kGate: return "gate";
    case Op::kGatedRmsNorm: return "gated_rms_norm";
    case Op::kHadamard: return "hadamard";
    case Op::kAdd: return "add";
    case Op::kConvert: return "convert";
  }
  return "?";
}

namespace {

template <class Items>
int32_t find_by_name(const Items& items, const std::string& name) {
  const auto at = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
  return at == items.end() ? kNone : static_cast<int32_t>(at - items.begin());
}

}  // namespace

EdgeId Graph::find_edge(const std::string& name) const { return find_by_name(edges, name); }
int32_t Graph::find_state(const std::string& name) const { return find_by_name(states, name); }
int32_t Graph::find_weight(const std::string& name) const { return find_by_name(weights, name); }

std::vector<EdgeId> Graph::children(EdgeId edge, Slice slice) const {
  std::vector<EdgeId> out;
  for (size_t i = 0; i < edges.size(); ++i) {
    if (edges[i].parent == edge && edges[i].slice == slice) out.push_back(static_cast<EdgeId>(i));
  }
  std::sort(out.begin(), out.end(), [&](EdgeId a, EdgeId b) {
    return edges[static_cast<size_t>(a)].begin < edges[static_cast<size_t>(b)].begin;
  });
  return out;
}

int32_t Graph::producer(EdgeId edge) const {
  const Edge& e = edges[static_cast<size_t>(edge)];
  const EdgeId written = e.slice == Slice::kPart ? e.parent : edge;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].output == written || nodes[i].sum == written) return static_cast<int32_t>(i);
  }
  return kNone;
}

namespace {

// Marks an edge, its parts and the pieces of a whole one as written.
class Written {
 public:
  explicit Written(const Graph& graph) : graph_(graph), done_(graph.edges.size(), false) {}

  void write(EdgeId edge) {
    const Edge& e = graph_.edges[static_cast<size_t>(edge)];
    QUAMBA2_CHECK(!done_[static_cast<size_t>(edge)], "written twice: " + e.name);
    done_[static_cast<size_t>(edge)] = true;
    const std::vector<EdgeId> parts = graph_.children(edge, Slice::kPart);
    if (!parts.empty()) check_cover(edge, parts);
    for (EdgeId part : parts) done_[static_cast<size_t>(part)] = true;
  }

  bool readable(EdgeId edge) const {
    if (done_[static_cast<size_t>(edge)]) return true;
    const std::vector<EdgeId> pieces = graph_.children(edge, Slice::kPiece);
    if (pieces.empty()) return false;
    check_cover(edge, pieces);
    return std::all_of(pieces.begin(), pieces.end(), [&](EdgeId p) { return done_[static_cast<size_t>(p)]; });
  }

 private:
  void check_cover(EdgeId edge, const std::vector<EdgeId>& children) const {
    int32_t at = 0;
    for (EdgeId child : children) {
      const Edge& c = graph_.edges[static_cast<size_t>(child)];
      QUAMBA2_CHECK(c.begin == at, "a hole before " + c.name);
      at += c.columns;
    }
    QUAMBA2_CHECK(at == graph_.edges[static_cast<size_t>(edge)].columns, "slices do not cover their parent");
  }

  const Graph& graph_;
  std::vector<bool> done_;
};

std::string encoding_text(const Encoding& encoding) { return format_text(encoding.format); }

}  // namespace

void verify(const Graph& graph) {
  Written written(graph);
  if (graph.input != kNone) written.write(graph.input);
  for (const Node& node : graph.nodes) {
    for (EdgeId input : node.inputs) QUAMBA2_CHECK(written.readable(input), node.name + " reads an edge too early");
    for (int32_t w : node.weights) {
      QUAMBA2_CHECK(w == kNone || w < static_cast<int32_t>(graph.weights.size()), node.name);
    }
    if (node.op == Op::kLinear) {
      const Tensor& w = graph.weights[static_cast<size_t>(node.weights[0])].values;
      QUAMBA2_CHECK(w.dim(1) == graph.edges[static_cast<size_t>(node.inputs[0])].columns, node.name);
      QUAMBA2_CHECK(w.dim(0) == graph.edges[static_cast<size_t>(node.output)].columns, node.name);
    }
    if (node.sum != kNone) written.write(node.sum);
    written.write(node.output);
  }
  QUAMBA2_CHECK(graph.logits != kNone && written.readable(graph.logits), "no logits");
  for (const Edge& edge : graph.edges) {
    const Encoding& e = edge.encoding;
    const int64_t scales = e.scales.empty() ? 0 : e.scales.elements();
    const bool none = e.format.levels == 0 || e.format.dynamic;
    const bool fits = none ? scales == 0 : scales == 1 || scales == edge.columns;
    QUAMBA2_CHECK(fits, edge.name + " has " + std::to_string(scales) + " scales");
    QUAMBA2_CHECK(!e.format.dynamic || is_dynamic_row(e.format), edge.name + ": " + format_text(e.format));
    const bool piece =
        edge.slice == Slice::kPiece && graph.edges[static_cast<size_t>(edge.parent)].encoding.format.dynamic;
    QUAMBA2_CHECK(!piece, edge.name + " is a piece of an edge with a scale a row");
  }
  for (const State& state : graph.states) {
    const Encoding& e = state.encoding;
    const bool none = e.format.levels == 0 || e.format.dynamic;
    QUAMBA2_CHECK(none ? e.scales.empty() : fits_state_scales(state, e.scales.shape()),
                  state.name + " has scales " + shape_text(e.scales.shape()));
    QUAMBA2_CHECK(!e.format.dynamic || is_dynamic_state(e.format), state.name + ": " + format_text(e.format));
  }
}

std::string to_text(const Graph& graph) {
  std::string out;
  for (const Node& node : graph.nodes) {
    out += node.name + " = " + name_of(node.op) + "(";
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Edge& e = graph.edges[static_cast<size_t>(node.inputs[i])];
      out += (i ? ", " : "") + e.name + ":" + encoding_text(e.encoding);
    }
    for (int32_t w : node.weights) {
      if (w == kNone) continue;
      const Weight& weight = graph.weights[static_cast<size_t>(w)];
      out += "; " + weight.name + shape_text(weight.values.shape()) + ":" + format_text(weight.format);
    }
    out += ")\n";
  }
  return out;
}

}  // namespace quamba2
