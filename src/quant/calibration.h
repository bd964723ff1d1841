// SPDX-License-Identifier: Apache-2.0
// Calibration as a service: runs windows of tokens through the model as it is now, in float, and collects ranges.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "graph/graph.h"

namespace quamba2 {

// The largest magnitude seen on each column of an edge, or of each channel of a state ([E], or [H, P]).
struct Ranges {
  std::map<EdgeId, std::vector<float>> edges;
  std::map<int32_t, std::vector<float>> states;
};

class Calibration {
 public:
  // `windows` are token sequences, each read from a zero state. They may be empty where no pass asks for ranges.
  Calibration(std::shared_ptr<const Backend> backend, std::vector<std::vector<int32_t>> windows);

  // Reads all windows. Ids refer to `graph`. Throws Error{kUsage} without windows, Error{kRuntime} naming the edge or
  // state where a number is not finite.
  Ranges observe(const Graph& graph, const std::vector<EdgeId>& edges, const std::vector<int32_t>& states) const;

  // Logits of every position of a short probe text: what a pass that keeps the function may not move.
  std::vector<float> probe(const Graph& graph) const;

  int64_t tokens() const;
  const Backend& backend() const { return *backend_; }

 private:
  std::shared_ptr<const Backend> backend_;
  std::vector<std::vector<int32_t>> windows_;
};

}  // namespace quamba2
