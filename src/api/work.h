// SPDX-License-Identifier: Apache-2.0
// What a token costs: useful operations and bytes, whatever the kernels do.
#pragma once

#include "backend/executor.h"

namespace quamba2 {

struct Work {
  double float_operations = 0;    // a token of prefill, without the head
  double integer_operations = 0;  // of linears whose both operands are INT8 codes
  double head_operations = 0;     // one row of logits
  bool head_is_integer = false;
  double weight_bytes = 0;  // read by one decode step, as the kernels hold them
  double state_bytes = 0;   // of one sequence; a step reads and writes them
};

// A multiply-add counts two. The recurrence counts as it is defined: five operations a (channel, state) in Mamba2 (decay,
// multiply-add of the input, multiply-add of the output), six in Mamba (the decay is a product of its own; its
// exponential is not counted).
Work count_work(const Executor& executor);

// Bytes that a step moves to decode a token of each of `batch` sequences: its weights as its kernel holds them, and their
// states, read and written.
double step_bytes(const Plan& plan, const Step& step, int batch);

}  // namespace quamba2
