// SPDX-License-Identifier: Apache-2.0
#include "api/work.h"

#include <set>

namespace quamba2 {
namespace {

double elements(const State& state) {
  double n = 1;
  for (int32_t d : state.shape) n *= d;
  return n;
}

// Bytes of a weight where a kernel holds it, else as it is stored.
double held_bytes(const Plan& plan, int32_t weight, const void* row) {
  const auto at = plan.prepared.find({weight, row});
  if (at != plan.prepared.end()) return static_cast<double>(at->second.bytes);
  const Weight& w = plan.graph.weights[static_cast<size_t>(weight)];
  return static_cast<double>(w.values.bytes() + w.scales[0].bytes() + w.scales[1].bytes());
}

}  // namespace

double step_bytes(const Plan& plan, const Step& step, int batch) {
  const Node& node = plan.graph.nodes[static_cast<size_t>(step.node)];
  double bytes = 0;
  for (int32_t w : node.weights) {
    if (w != kNone && node.op != Op::kEmbed) bytes += held_bytes(plan, w, step.row);
  }
  if (node.state != kNone)
    bytes += 2.0 * batch * static_cast<double>(plan.state_bytes[static_cast<size_t>(node.state)]);
  return bytes;
}

Work count_work(const Executor& executor) {
  const Plan& plan = executor.plan();
  Work work;
  work.state_bytes = static_cast<double>(executor.state_bytes());
  std::set<int32_t> counted;
  for (const Step& step : plan.steps) {
    const Node& node = plan.graph.nodes[static_cast<size_t>(step.node)];
    for (int32_t w : node.weights) {
      // Look-up reads one row of the table, not all.
      if (w != kNone && node.op != Op::kEmbed && counted.insert(w).second)
        work.weight_bytes += held_bytes(plan, w, step.row);
    }
    if (node.op == Op::kSsdScan)
      work.float_operations += 5 * elements(plan.graph.states[static_cast<size_t>(node.state)]);
    if (node.op == Op::kSelectiveScan)
      work.float_operations += 6 * elements(plan.graph.states[static_cast<size_t>(node.state)]);
    if (node.op != Op::kLinear && node.op != Op::kCausalConv1d) continue;
    const double operations =
        2.0 * static_cast<double>(plan.graph.weights[static_cast<size_t>(node.weights[0])].values.elements());
    const bool integer =
        node.op == Op::kLinear && plan.edges[static_cast<size_t>(node.inputs[0])].format.storage == DType::kI8;
    if (step.rows == RowKind::kSelected) {
      work.head_operations += operations;
      work.head_is_integer = integer;
    } else {
      (integer ? work.integer_operations : work.float_operations) += operations;
    }
  }
  return work;
}

}  // namespace quamba2
