// SPDX-License-Identifier: Apache-2.0
// The arguments of any operation, and the one place that lists which of them are activations.
#pragma once

#include <variant>

#include "backend/kernel.h"

namespace quamba2 {

using OpArgs = std::variant<EmbedArgs, SelectRowsArgs, RmsNormArgs, LayerNormArgs, LinearArgs, CausalConv1dArgs,
                            SelectiveScanArgs, SsdScanArgs, GateArgs, GatedRmsNormArgs, HadamardArgs, AddArgs,
                            ConvertArgs, ChooseTokenArgs, FollowTokensArgs>;

inline KernelRows<EmbedArgs> rows_of(const KernelTable& t, const EmbedArgs&) { return t.embed; }
inline KernelRows<SelectRowsArgs> rows_of(const KernelTable& t, const SelectRowsArgs&) { return t.select_rows; }
inline KernelRows<RmsNormArgs> rows_of(const KernelTable& t, const RmsNormArgs&) { return t.rms_norm; }
inline KernelRows<LayerNormArgs> rows_of(const KernelTable& t, const LayerNormArgs&) { return t.layer_norm; }
inline KernelRows<LinearArgs> rows_of(const KernelTable& t, const LinearArgs&) { return t.linear; }
inline KernelRows<CausalConv1dArgs> rows_of(const KernelTable& t, const CausalConv1dArgs&) { return t.causal_conv1d; }
inline KernelRows<SelectiveScanArgs> rows_of(const KernelTable& t, const SelectiveScanArgs&) {
  return t.selective_scan;
}
inline KernelRows<SsdScanArgs> rows_of(const KernelTable& t, const SsdScanArgs&) { return t.ssd_scan; }
inline KernelRows<GateArgs> rows_of(const KernelTable& t, const GateArgs&) { return t.gate; }
inline KernelRows<GatedRmsNormArgs> rows_of(const KernelTable& t, const GatedRmsNormArgs&) { return t.gated_rms_norm; }
inline KernelRows<HadamardArgs> rows_of(const KernelTable& t, const HadamardArgs&) { return t.hadamard; }
inline KernelRows<AddArgs> rows_of(const KernelTable& t, const AddArgs&) { return t.add; }
inline KernelRows<ConvertArgs> rows_of(const KernelTable& t, const ConvertArgs&) { return t.convert; }
inline KernelRows<ChooseTokenArgs> rows_of(const KernelTable& t, const ChooseTokenArgs&) { return t.choose_token; }
inline KernelRows<FollowTokensArgs> rows_of(const KernelTable& t, const FollowTokensArgs&) { return t.follow_tokens; }

// visit_inputs calls f(Operand&) in the order of Node::inputs; visit_outputs calls it for the output, or for each part.
template <class F>
void visit_parts(OutputParts& out, F f) {
  for (int i = 0; i < out.count; ++i) f(out.part[i]);
}

template <class F>
void visit_inputs(EmbedArgs&, F) {}
template <class F>
void visit_inputs(SelectRowsArgs& a, F f) {
  f(a.x);
}
template <class F>
void visit_inputs(RmsNormArgs& a, F f) {
  f(a.x);
  if (a.addend.values.rank > 0) f(a.addend);
}
template <class F>
void visit_inputs(LayerNormArgs& a, F f) {
  f(a.x);
}
template <class F>
void visit_inputs(LinearArgs& a, F f) {
  f(a.x);
}
template <class F>
void visit_inputs(CausalConv1dArgs& a, F f) {
  f(a.x);
}
template <class F>
void visit_inputs(SelectiveScanArgs& a, F f) {
  f(a.x), f(a.dt), f(a.b), f(a.c);
}
template <class F>
void visit_inputs(SsdScanArgs& a, F f) {
  f(a.x), f(a.dt), f(a.b), f(a.c);
}
template <class F>
void visit_inputs(GateArgs& a, F f) {
  f(a.y), f(a.z);
}
template <class F>
void visit_inputs(GatedRmsNormArgs& a, F f) {
  f(a.y), f(a.z);
}
template <class F>
void visit_inputs(HadamardArgs& a, F f) {
  f(a.x);
}
template <class F>
void visit_inputs(AddArgs& a, F f) {
  f(a.a), f(a.b);
}
template <class F>
void visit_inputs(ConvertArgs& a, F f) {
  f(a.x);
}
template <class F>
void visit_inputs(ChooseTokenArgs& a, F f) {
  f(a.logits);
}
template <class F>
void visit_inputs(FollowTokensArgs&, F) {}

template <class Args, class F>
void visit_outputs(Args& a, F f) {
  f(a.out);
}
template <class F>
void visit_outputs(RmsNormArgs& a, F f) {
  if (a.sum.values.rank > 0) f(a.sum);
  f(a.out);
}
template <class F>
void visit_outputs(LinearArgs& a, F f) {
  visit_parts(a.out, f);
}
template <class F>
void visit_outputs(CausalConv1dArgs& a, F f) {
  visit_parts(a.out, f);
}
template <class F>
void visit_outputs(ChooseTokenArgs&, F) {}  // tokens, which are no operands
template <class F>
void visit_outputs(FollowTokensArgs&, F) {}

// The weight that a kernel may want in its own layout; nullptr for operations without one.
template <class Args>
Operand* weight_of(Args&) {
  return nullptr;
}
inline Operand* weight_of(LinearArgs& a) { return &a.weight; }
inline Operand* weight_of(CausalConv1dArgs& a) { return &a.weight; }
inline Operand* weight_of(EmbedArgs& a) { return &a.table; }

// Calls f(TensorView&) for every view in the arguments: numbers and scales of operands, parameters, ids, states.
template <class F>
void visit_views(TensorView& view, F f) {
  f(view);
}
template <class F>
void visit_views(Operand& operand, F f) {
  f(operand.values), f(operand.scales[0]), f(operand.scales[1]);
}
template <class Args, class F>
void visit_views(Args& a, F f) {
  const auto visit = [&](auto& member) { visit_views(member, f); };
  visit_inputs(a, visit);
  visit_outputs(a, visit);
  if constexpr (requires { a.ids; }) visit(a.ids);
  if constexpr (requires { a.rows; }) visit(a.rows);
  if constexpr (requires { a.rules; }) visit(a.rules), visit(a.next);
  if constexpr (requires { a.chosen; }) visit(a.chosen);
  if constexpr (requires { a.table; }) visit(a.table);
  if constexpr (requires { a.weight; }) visit(a.weight);
  if constexpr (requires { a.bias; }) visit(a.bias);
  if constexpr (requires { a.a_log; }) visit(a.a_log), visit(a.d), visit(a.dt_bias);
  if constexpr (requires { a.state; }) visit(a.state);
}

}  // namespace quamba2
