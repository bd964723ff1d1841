// SPDX-License-Identifier: Apache-2.0
// The planner: (graph, back end, limits) to a list of bound steps. It picks the first kernel row that supports each
// node, brackets an f32 kernel with `convert` where none does, gives edges memory by liveness, and has weights re-laid.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/op_args.h"
#include "base/memory.h"
#include "graph/graph.h"

namespace quamba2 {

struct PlanLimits {
  int32_t max_tokens = 512;   // tokens of one call, over all its sequences
  int32_t max_selected = 64;  // rows of logits at once
  int32_t max_sequences = 1;  // state slots
  int32_t state_every = 0;    // tokens of a sequence between two roundings of its states; 0: once a call
  bool keep_edges = false;    // every edge keeps its memory to the end of the call (for taps)
};

struct Refusal {
  std::string kernel, reason;
};

struct Step {
  int32_t node = kNone;  // in Plan::graph; kNone: Plan::choose or follow
  RowKind rows = RowKind::kTokens;
  OpArgs args;
  const void* row = nullptr;  // a Kernel<Args>, of the alternative that args holds
  const char* kernel = "";
  std::vector<Refusal> refused;  // better rows that could not be taken
  void (*run)(const Step& step, const Stream& stream) = nullptr;
};

// A weight in a kernel's own layout.
struct Prepared {
  void* data = nullptr;
  size_t bytes = 0;
};

struct Plan {
  Graph graph;  // the model's, with the converts that the back end needs
  PlanLimits limits;
  std::vector<Step> steps;
  // Of devices that choose tokens (else without a kernel): behind the head, and in front of the body.
  Step choose, follow;
  std::vector<Operand> edges;       // memory of each edge, at its largest; no data where it has none
  std::vector<Operand> states;      // [slots, ...]
  std::vector<size_t> state_bytes;  // of one slot
  Device* device = nullptr;         // where the memory below is; null: in this process
  Storage edge_memory, state_memory, scratch, ids, selected;
  Storage segments, weights, rules, chosen;                      // on a device only
  std::map<std::pair<int32_t, const void*>, Prepared> prepared;  // (weight, kernel row)
  Arena prepared_memory;
  std::vector<Tensor> expanded_scales;
  size_t weight_bytes = 0;  // in the formats that the kernels read
};

// Throws Error{kUsage} for limits out of range, Error{kModelFile} where no kernel of the back end takes a node even in
// f32, Error{kResource} without memory (on a device before anything is allocated). Mapped pages of re-laid weights are given back.
std::unique_ptr<Plan> make_plan(const Graph& graph, const Backend& backend, const PlanLimits& limits);

// One line a step: node, formats, kernel, and why better rows were refused.
std::string explain(const Plan& plan);

}  // namespace quamba2
