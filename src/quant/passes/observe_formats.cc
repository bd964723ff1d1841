// SPDX-License-Identifier: Apache-2.0
#include "quant/passes/passes.h"

namespace quamba2 {
namespace {

bool is_static(const Format& format) { return format.levels > 0 && !format.dynamic; }

void observe(QuantPart& part, PassContext& context) {
  Wanted wanted;
  for (const auto& [id, target] : part.edges) {
    if (!is_static(target.format)) continue;
    if (target.percentile > 0) {
      wanted.percentiles[id] = target.percentile;
    } else {
      wanted.edges.push_back(id);
    }
  }
  for (const auto& [id, target] : part.states) {
    if (is_static(target.format)) wanted.states.push_back(id);
  }
  if (wanted.edges.empty() && wanted.states.empty() && wanted.percentiles.empty()) {
    context.detail = "nothing to measure";
    return;
  }
  part.ranges = context.calibration.observe(part.graph, wanted);
  context.detail = std::to_string(context.calibration.tokens()) + " tokens";
}

}  // namespace

Pass observe_formats(bool reads_text) {
  return {"observe_formats", facts(Fact::kFormats), facts(Fact::kRanges), 0, false, observe, {}, reads_text};
}

}  // namespace quamba2
