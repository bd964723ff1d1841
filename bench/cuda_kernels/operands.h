// SPDX-License-Identifier: Apache-2.0
// Operands on the device for the benches: random numbers, codes with plausible scales, states of zeros, prepared weights.
#pragma once

#include "backends/cuda/linear_layout.h"
#include "cuda_kernels/bench.h"

namespace quamba2::cuda_bench {

// Codes with a scale a column, or f32.
Operand activation(int32_t rows, int32_t columns, bool codes);
TensorView parameters(int32_t count, float spread);
const Segment* segments_of(int32_t count, int32_t length);

// States [slots, heads, states, width], or [slots, states, width] where there are no heads.
Operand state_of(int32_t slots, int32_t heads, int32_t states, int32_t width, DType type);
double state_bytes(const Operand& o);

struct KindOfLinear {
  const char* name;
  cuda::WeightKind kind;
  DType weight, x;
  int group, levels;
};
cuda::LinearLayout linear_layout_of(const KindOfLinear& k, int32_t outputs, int32_t inner);
// The call without its weight, of which prepared_weights gives as many as lie beyond the cache: random codes and sane scales,
// what is measured does not depend on them.
LinearArgs linear_problem(const KindOfLinear& k, int32_t outputs, int32_t inner, int32_t tokens);
std::vector<const void*> prepared_weights(const cuda::LinearLayout& l);

}  // namespace quamba2::cuda_bench
