// SPDX-License-Identifier: Apache-2.0
// What calibration measures of activations and states.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "graph/graph.h"

namespace quamba2 {

// The largest magnitudes seen: on each column of an edge, on each number of a state ([N, E] or [H, N, P]).
struct Ranges {
  std::map<EdgeId, std::vector<float>> edges;
  std::map<int32_t, std::vector<float>> states;
  std::map<EdgeId, float> percentiles;  // of an edge as a whole, averaged over windows
};

// What to measure. Percentiles are asked for by edge: 0.9999 is the magnitude that one of 10,000 numbers exceeds.
struct Wanted {
  std::vector<EdgeId> edges;
  std::vector<int32_t> states;
  std::map<EdgeId, double> percentiles;
};

}  // namespace quamba2
