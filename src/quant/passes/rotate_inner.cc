// SPDX-License-Identifier: Apache-2.0
// The one transform that stays at run time: a Hadamard in front of out_proj, whose columns absorb its inverse (method.md
// 2.3). It spreads the outliers of the gated output over all channels before they are rounded.
#include "base/check.h"
#include "quant/edit.h"
#include "quant/passes/passes.h"
#include "tensor/hadamard.h"

namespace quamba2 {
namespace {

void rotate(QuantPart& part, PassContext& context) {
  if (part.head) return;
  const int32_t out_proj = find_node(part.graph, "out_proj");
  QUAMBA2_CHECK(out_proj != kNone, part.name());
  Weight& weight = part.graph.weights[static_cast<size_t>(part.graph.nodes[static_cast<size_t>(out_proj)].weights[0])];
  const int64_t width = weight.values.dim(1);
  const Stream stream = context.calibration.backend().stream();
  change_lines(
      &weight, 1,
      [](std::vector<double>& line) { hadamard_transform(line.data(), static_cast<int64_t>(line.size()), false); },
      &stream);
  weight.axes[1] = {{Space::kRotated, width}};
  insert_inner_rotation(&part.graph);
  part.transforms.inner = true;
  context.detail = std::to_string(width) + " channels";
}

std::string left_out(const ModelData& model) {
  for (const Node& node : model.graph.nodes) {
    if (node.op != Op::kLinear || node.name.find(".out_proj") == std::string::npos) continue;
    const int32_t width = model.graph.edges[static_cast<size_t>(node.inputs[0])].columns;
    if (!has_hadamard(width)) return "there is no Hadamard matrix of order " + std::to_string(width);
  }
  return "";
}

}  // namespace

Pass rotate_inner(Facts needs) {
  return {"rotate_inner", needs, facts(Fact::kInnerRotated), facts(Fact::kRanges), true, rotate, left_out};
}

}  // namespace quamba2
