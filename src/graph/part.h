// SPDX-License-Identifier: Apache-2.0
// Parts of a model's graph that run by themselves: a layer, or what follows the last one. The quantizer takes a model
// part by part, so that never more than one is in memory in full precision.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace quamba2 {

// The part numbers of a model: its layers, then the head, which has the embedding's table with it.
int64_t part_count(int64_t n_layer);

// Part `part` as a graph of its own: Graph::input is the residual stream before it, Graph::logits what it computes. Names
// stay. Rows are tokens throughout: the head computes logits of all of them. Weights share their memory with the model's.
Graph part_of(const Graph& model, int64_t n_layer, int64_t part);

// The nodes that `edge` depends on, as a part that ends there.
Graph up_to(const Graph& part, EdgeId edge);

}  // namespace quamba2
