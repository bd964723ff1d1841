// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"
#include "quant/clustering.h"
#include "quant/edit.h"
#include "quant/passes/passes.h"

namespace quamba2 {
namespace {

void cluster(QuantPart& part, PassContext& context, int clusters) {
  if (part.head) return;
  for (const Node& node : part.graph.nodes) {
    if (node.op != Op::kSsdScan) continue;
    const EdgeId x = node.inputs[0];
    const std::vector<int32_t>& state = part.graph.states[static_cast<size_t>(node.state)].shape;
    const int32_t groups = std::get<SsdAttributes>(node.attributes).groups;
    const Ranges ranges = context.calibration.observe(part.graph, {{x}, {}, {}});
    const ChannelClusters found = cluster_channels(ranges.edges.at(x), state[0], groups, clusters);
    reorder(&part.graph, Space::kChannel, found.channel_order);
    reorder(&part.graph, Space::kHead, found.head_order);
    part.clusters = found.cells;
    context.detail = std::to_string(state[0]) + " heads, " + std::to_string(groups * clusters * clusters) + " cells";
    return;
  }
}

}  // namespace

Pass cluster_channels(int clusters) {
  const auto run = [clusters](QuantPart& part, PassContext& context) { cluster(part, context, clusters); };
  const auto left_out = [](const ModelData& model) {
    for (const Node& node : model.graph.nodes) {
      if (node.op == Op::kSsdScan) return "";
    }
    return "this family has no heads to cluster";
  };
  Pass pass{"cluster_channels", 0, facts(Fact::kClustered), facts(Fact::kRanges), true, run, left_out};
  pass.needs_text = true;
  return pass;
}

}  // namespace quamba2
