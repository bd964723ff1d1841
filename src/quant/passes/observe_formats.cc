// SPDX-License-Identifier: Apache-2.0
#include "quant/passes/passes.h"

namespace quamba2 {

Pass observe_formats() {
  const auto run = [](QuantModel& model, PassContext& context) {
    std::vector<EdgeId> edges;
    std::vector<int32_t> states;
    for (const auto& [id, format] : model.edges) {
      if (format.levels > 0 && !format.dynamic) edges.push_back(id);
    }
    for (const auto& [id, format] : model.states) {
      if (format.levels > 0 && !format.dynamic) states.push_back(id);
    }
    if (edges.empty() && states.empty()) {
      context.detail = "nothing to measure";
      return;
    }
    model.ranges = context.calibration.observe(model.model.graph, edges, states);
    context.detail = std::to_string(context.calibration.tokens()) + " tokens";
  };
  return {"observe_formats", facts(Fact::kFormats), facts(Fact::kRanges), 0, false, run};
}

}  // namespace quamba2
