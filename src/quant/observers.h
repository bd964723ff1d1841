// SPDX-License-Identifier: Apache-2.0
// Collect ranges of activations and states while a part of a model runs.
#pragma once

#include <cstdint>

#include "quant/calibration.h"

namespace quamba2 {

class RangeObserver {
 public:
  RangeObserver(const Graph& part, const Wanted& wanted);

  bool wants(EdgeId edge) const { return ranges_.edges.count(edge) > 0; }
  void see(EdgeId edge, const float* rows, int64_t count);
  void see_state(int32_t state, const Operand& values);
  // Ends a window: percentiles are taken over each and averaged.
  void end_window();
  // Throws Error{kRuntime} naming the edge or state where a number is not finite.
  Ranges finish();

 private:
  const Graph& part_;
  const Wanted& wanted_;
  Ranges ranges_;
  std::map<EdgeId, std::vector<float>> window_;  // magnitudes of this window
  int64_t windows_ = 0;
};

}  // namespace quamba2
