// SPDX-License-Identifier: Apache-2.0
// From a node of the graph to the arguments of its kernel.
#pragma once

#include "backend/op_args.h"
#include "graph/graph.h"

namespace quamba2 {

// Where the memory of edges and states is; null pointers while kernels are being chosen (they look at shapes and
// formats only).
class Memory {
 public:
  virtual ~Memory() = default;
  virtual Operand edge(EdgeId edge) const = 0;
  virtual Operand state(int32_t state) const = 0;
  virtual TensorView token_ids() const = 0;
  virtual TensorView selected_rows() const = 0;
  virtual int32_t state_every() const = 0;
};

OpArgs bind(const Graph& graph, const Node& node, const Memory& memory);

}  // namespace quamba2
