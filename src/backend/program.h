// SPDX-License-Identifier: Apache-2.0
// Several steps of a plan as one piece of work on a device. A back end compiles those lists of steps that it has a form for;
// all others are launched step by step.
#pragma once

#include <memory>
#include <span>

#include "backend/op_args.h"

namespace quamba2 {

class Program {
 public:
  virtual ~Program() = default;
  // Starts the work of all steps, in the order of the stream.
  virtual void run() = 0;
};

// What a back end is told of a step: its arguments, with the rows of this call, and whether anything outside of the list
// reads what it writes. What only steps of the list read need never be written where the arguments say.
struct ProgramStep {
  const OpArgs* args = nullptr;
  bool survives = false;
};

using ProgramSteps = std::span<const ProgramStep>;

}  // namespace quamba2
