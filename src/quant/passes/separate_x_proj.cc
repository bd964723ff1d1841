// SPDX-License-Identifier: Apache-2.0
#include "quant/edit.h"
#include "quant/passes/passes.h"

namespace quamba2 {
namespace {

void separate(QuantPart& part, PassContext&) {
  if (part.head) return;
  insert_x_proj_row(&part.graph);
  part.transforms.x_proj_row = true;
}

}  // namespace

Pass separate_x_proj() {
  const auto left_out = [](const ModelData& model) {
    for (const Node& node : model.graph.nodes) {
      if (node.op == Op::kSelectiveScan) return "";
    }
    return "this family has no x_proj";
  };
  return {"separate_x_proj", 0, 0, facts(Fact::kRanges), true, separate, left_out};
}

}  // namespace quamba2
