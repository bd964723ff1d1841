// SPDX-License-Identifier: Apache-2.0
// Collect ranges of activations and states while a part of a model runs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quant/ranges.h"
#include "tensor/view.h"

namespace quamba2 {

// Throw Error{kRuntime}: an activation became NaN or infinite on the calibration text.
[[noreturn]] void not_finite(const std::string& name);
void check_finite(const std::vector<float>& range, const std::string& name);  // where a number is not finite

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
