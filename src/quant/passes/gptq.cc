// SPDX-License-Identifier: Apache-2.0
// GPTQ over the linears of a part, in the order in which they run: each sees its inputs as the encoded ones before it
// leave them.
#include "quant/gptq.h"

#include <algorithm>
#include <cstdio>

#include "quant/passes/passes.h"
#include "quant/roles.h"
#include "quant/rounder.h"

namespace quamba2 {
namespace {

std::string percent(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * v);
  return text;
}

void round_linears(QuantPart& part, PassContext& context, const GptqPassOptions& options) {
  Rounder rounder(context.calibration);
  for (size_t i = 0; i < part.graph.nodes.size(); ++i) {
    const Node node = part.graph.nodes[i];
    if (node.op != Op::kLinear) continue;
    const auto target = part.weights.find(node.weights[0]);
    if (target == part.weights.end() || bits_of(target->second.storage) > options.most_bits) continue;
    Weight& weight = part.graph.weights[static_cast<size_t>(node.weights[0])];
    const std::string role = weight_role(weight.name);
    if (std::find(options.to_nearest.begin(), options.to_nearest.end(), role) != options.to_nearest.end()) continue;
    GptqReport report;
    weight = rounder.by_inputs(part.graph, node.inputs[0], weight, target->second, options.rounding, &report);
    context.detail += (context.detail.empty() ? "" : ", ") + edge_role(node.name) + " " + percent(report.error) +
                      " (nearest " + percent(report.rounding_error) + ")";
    if (report.damp > options.rounding.damp * 1.5) context.detail += " damped";
  }
}

}  // namespace

Pass gptq(const GptqPassOptions& options) {
  const auto run = [options](QuantPart& part, PassContext& context) { round_linears(part, context, options); };
  Pass pass{"gptq", facts(Fact::kFormats, Fact::kActivations), 0, 0, false, run};
  pass.needs_text = true;
  return pass;
}

}  // namespace quamba2
