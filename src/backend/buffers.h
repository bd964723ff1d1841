// SPDX-License-Identifier: Apache-2.0
// Memory of a plan: edges share one block by liveness, states have another.
#pragma once

#include "backend/bind.h"
#include "backend/plan.h"

namespace quamba2 {

// Views with shapes and formats but no data, for choosing kernels.
class ShapesOnly : public Memory {
 public:
  ShapesOnly(const Graph& graph, const PlanLimits& limits, DType float_type)
      : graph_(graph), limits_(limits), float_type_(float_type) {}
  Operand edge(EdgeId edge) const override;
  Operand state(int32_t state) const override;
  TensorView token_ids() const override;
  TensorView selected_rows() const override;
  int32_t state_every() const override { return limits_.state_every; }

 private:
  const Graph& graph_;
  const PlanLimits& limits_;
  DType float_type_;
};

// Fills the plan's memory: edges, states, ids, selected rows, scratch. Throws Error{kResource} where a device has less than
// that and `weight_bytes` more free.
void allocate(Plan* plan, DType float_type, size_t weight_bytes, size_t scratch_bytes);

// Views into the memory that `allocate` made.
class Allocated : public Memory {
 public:
  explicit Allocated(const Plan& plan) : plan_(plan) {}
  Operand edge(EdgeId edge) const override { return plan_.edges[static_cast<size_t>(edge)]; }
  Operand state(int32_t state) const override { return plan_.states[static_cast<size_t>(state)]; }
  TensorView token_ids() const override;
  TensorView selected_rows() const override;
  int32_t state_every() const override { return plan_.limits.state_every; }

 private:
  const Plan& plan_;
};

}  // namespace quamba2
