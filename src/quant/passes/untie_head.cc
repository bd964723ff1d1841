// SPDX-License-Identifier: Apache-2.0
#include "quant/edit.h"
#include "quant/passes/passes.h"

namespace quamba2 {
namespace {

void untie(QuantPart& part, PassContext& context) {
  if (!part.head) return;
  Node& logits = part.graph.nodes[static_cast<size_t>(find_node(part.graph, "head.logits"))];
  Weight copy = part.graph.weights[static_cast<size_t>(logits.weights[0])];
  copy.name = "lm_head.weight";
  logits.weights[0] = static_cast<int32_t>(part.graph.weights.size());
  context.detail = "one more table of " + std::to_string(copy.values.dim(0)) + " rows";
  part.graph.weights.push_back(std::move(copy));
  part.tied = false;
}

}  // namespace

Pass untie_head() {
  const auto left_out = [](const ModelData& model) { return model.tied ? "" : "it has a table of its own already"; };
  return {"untie_head", 0, 0, 0, true, untie, left_out};
}

}  // namespace quamba2
