// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "backend/plan.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

std::string pad(std::string text, size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text + " ";
}

std::string edge_text(const Plan& plan, EdgeId edge) {
  return format_text(plan.edges[static_cast<size_t>(edge)].format);
}

std::string formats(const Plan& plan, const Node& node) {
  std::string out;
  for (size_t i = 0; i < node.inputs.size(); ++i) out += (i ? ", " : "") + edge_text(plan, node.inputs[i]);
  for (int32_t w : node.weights) {
    if (w == kNone) continue;
    const Weight& weight = plan.graph.weights[static_cast<size_t>(w)];
    if (weight.values.shape().size() == 2) out += (out.empty() ? "weight " : ", weight ") + format_text(weight.format);
    break;
  }
  out += " -> ";
  const std::vector<EdgeId> parts = plan.graph.children(node.output, Slice::kPart);
  if (parts.empty()) return out + edge_text(plan, node.output);
  for (size_t i = 0; i < parts.size(); ++i) out += (i ? " | " : "") + edge_text(plan, parts[i]);
  return out;
}

}  // namespace

std::string explain(const Plan& plan) {
  std::string out = pad("node", 24) + pad("operation", 16) + pad("kernel", 28) + "formats\n";
  std::set<std::string> told;
  for (const Step& step : plan.steps) {
    const Node& node = plan.graph.nodes[static_cast<size_t>(step.node)];
    out += pad(node.name, 24) + pad(name_of(node.op), 16) + pad(step.kernel, 28) + formats(plan, node) + "\n";
    // Layers repeat: each refusal is told once.
    for (const Refusal& r : step.refused) {
      if (told.insert(r.kernel + r.reason).second) out += pad("", 24) + "not " + r.kernel + ": " + r.reason + "\n";
    }
  }
  if (plan.choose.run)
    out += pad("next token", 24) + pad("choose_token", 16) + pad(plan.choose.kernel, 28) + "f32 -> ids\n";
  return out;
}

}  // namespace quamba2
