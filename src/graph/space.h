// SPDX-License-Identifier: Apache-2.0
// What the indices of a weight's dimension mean. Passes that rotate or reorder a space find everything that lives in it
// by these labels, so that a model family that labels its weights gets them for nothing.
#pragma once

#include <cstdint>
#include <vector>

namespace quamba2 {

enum class Space : uint8_t {
  kNone,        // nothing that a pass may touch
  kResidual,    // the residual stream, one for the whole model
  kChannel,     // inner channels that the recurrence runs over; in Mamba2 head after head
  kPlain,       // inner channels beside the recurrence (z0, x0)
  kHead,        // heads of Mamba2
  kGroupState,  // B and C: group after group
  kRotated      // kPlain and kChannel together, behind the online Hadamard: no longer to be reordered
};

// A dimension is a concatenation of runs: in_proj's rows are [kChannel z, kChannel x, kGroupState B, ...].
struct AxisRun {
  Space space = Space::kNone;
  int64_t length = 0;
};
using Axis = std::vector<AxisRun>;

}  // namespace quamba2
