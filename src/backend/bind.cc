// SPDX-License-Identifier: Apache-2.0
#include "backend/bind.h"

#include "base/check.h"

namespace quamba2 {
namespace {

// Reads a node's operands in order.
struct Binder {
  const Graph& graph;
  const Node& node;
  const Memory& memory;

  Operand in(size_t i) const { return memory.edge(node.inputs[i]); }
  Operand out() const { return memory.edge(node.output); }
  Operand weight(size_t i) const { return graph.weights[static_cast<size_t>(node.weights[i])].operand(); }
  TensorView parameter(size_t i) const {
    if (node.weights[i] == kNone) return {};
    return graph.weights[static_cast<size_t>(node.weights[i])].values.view();
  }
  OutputParts parts() const {
    OutputParts p;
    const std::vector<EdgeId> children = graph.children(node.output, Slice::kPart);
    QUAMBA2_CHECK(children.size() <= static_cast<size_t>(kMaxParts), node.name);
    for (EdgeId child : children) {
      p.begin[p.count] = graph.edges[static_cast<size_t>(child)].begin;
      p.part[p.count++] = memory.edge(child);
    }
    if (children.empty()) p.part[p.count++] = out();
    p.begin[p.count] = graph.edges[static_cast<size_t>(node.output)].columns;
    return p;
  }
};

OpArgs bind_linear(const Binder& b) { return LinearArgs{b.in(0), b.weight(0), b.parameter(1), b.parts()}; }

OpArgs bind_conv(const Binder& b) {
  CausalConv1dArgs a;
  a.x = b.in(0);
  a.weight = b.weight(0);
  a.bias = b.parameter(1);
  a.state = b.memory.state(b.node.state);
  a.activation = std::get<ConvAttributes>(b.node.attributes).activation;
  a.out = b.parts();
  return a;
}

OpArgs bind_selective_scan(const Binder& b) {
  SelectiveScanArgs a;
  a.x = b.in(0), a.dt = b.in(1), a.b = b.in(2), a.c = b.in(3);
  a.a_log = b.parameter(0), a.d = b.parameter(1), a.dt_bias = b.parameter(2);
  a.state = b.memory.state(b.node.state);
  a.state_every = b.memory.state_every();
  a.out = b.out();
  return a;
}

OpArgs bind_ssd_scan(const Binder& b) {
  const auto& attributes = std::get<SsdAttributes>(b.node.attributes);
  SsdScanArgs a;
  a.x = b.in(0), a.dt = b.in(1), a.b = b.in(2), a.c = b.in(3);
  a.a_log = b.parameter(0), a.d = b.parameter(1), a.dt_bias = b.parameter(2);
  a.dt_min = attributes.dt_min, a.dt_max = attributes.dt_max, a.groups = attributes.groups;
  a.state = b.memory.state(b.node.state);
  a.state_every = b.memory.state_every();
  a.out = b.out();
  return a;
}

OpArgs bind_rms_norm(const Binder& b) {
  RmsNormArgs a;
  a.x = b.in(0), a.weight = b.parameter(0), a.out = b.out();
  a.eps = std::get<NormAttributes>(b.node.attributes).eps;
  if (b.node.sum != kNone) a.addend = b.in(1), a.sum = b.memory.edge(b.node.sum);
  return a;
}

OpArgs bind_gate(const Binder& b) {
  const auto* attributes = std::get_if<GateAttributes>(&b.node.attributes);
  return GateArgs{b.in(0), b.in(1), b.out(), attributes ? attributes->rotation : Rotation::kNone};
}

OpArgs bind_gated_rms_norm(const Binder& b) {
  const auto& attributes = std::get<GatedNormAttributes>(b.node.attributes);
  return GatedRmsNormArgs{b.in(0),
                          b.in(1),
                          b.parameter(0),
                          b.out(),
                          attributes.eps,
                          attributes.groups,
                          attributes.norm_before_gate,
                          attributes.rotation};
}

}  // namespace

OpArgs bind(const Graph& graph, const Node& node, const Memory& memory) {
  const Binder b{graph, node, memory};
  switch (node.op) {
    case Op::kEmbed: return EmbedArgs{memory.token_ids(), b.weight(0), b.out()};
    case Op::kSelectRows: return SelectRowsArgs{memory.selected_rows(), b.in(0), b.out()};
    case Op::kRmsNorm: return bind_rms_norm(b);
    case Op::kLayerNorm:
      return LayerNormArgs{b.in(0), b.parameter(0), b.parameter(1), b.out(),
                           std::get<NormAttributes>(node.attributes).eps};
    case Op::kLinear: return bind_linear(b);
    case Op::kCausalConv1d: return bind_conv(b);
    case Op::kSelectiveScan: return bind_selective_scan(b);
    case Op::kSsdScan: return bind_ssd_scan(b);
    case Op::kGate: return bind_gate(b);
    case Op::kGatedRmsNorm: return bind_gated_rms_norm(b);
    case Op::kHadamard: return HadamardArgs{b.in(0), b.out(), std::get<HadamardAttributes>(node.attributes).transposed};
    case Op::kAdd: return AddArgs{b.in(0), b.in(1), b.out()};
    case Op::kConvert: return ConvertArgs{b.in(0), b.out()};
  }
  QUAMBA2_CHECK(false, node.name);
}

}  // namespace quamba2
