// SPDX-License-Identifier: Apache-2.0
// A model as its parts by name, before or after a graph: what files hold and what the quantizer makes.
#pragma once

#include <map>
#include <string>

#include "graph/model.h"
#include "graph/weight.h"

namespace quamba2 {

struct Artifact {
  WeightMap weights;
  std::map<std::string, Encoding> edges, states;  // by name; only those that are not plain f32
  std::string recipe;                             // empty for an unquantized checkpoint
  Transforms transforms;
};

// What a graph holds, by name.
Artifact artifact_of(const Graph& graph, const Transforms& transforms);

// Adds a part to others; names that are there already stay as they are.
void merge(Artifact part, Artifact* into);

}  // namespace quamba2
