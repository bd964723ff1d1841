// SPDX-License-Identifier: Apache-2.0
// Edits of weights and graphs that several passes make.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/kernel.h"
#include "graph/graph.h"

namespace quamba2 {

// Replaces the numbers of a float weight; name and labels stay.
void set_floats(Weight* weight, const std::vector<float>& values);

// Runs `change(line)` on every line of the weight along `dimension` (0: down a column, 1: along a row), of as many
// numbers as that dimension has. Lines are split over the threads of `stream`, where one is given.
void change_lines(Weight* weight, size_t dimension, const std::function<void(std::vector<double>& line)>& change,
                  const Stream* stream = nullptr);

// Reorders every run of `space` in all weights of the graph: position i takes what was at order[i]. Throws
// Error{kUsage} where a part of the space has been rotated.
void reorder(Graph* graph, Space space, const std::vector<int32_t>& order);

// Puts a node with one input in front of `node`'s `input`-th operand; the new edge is called `name` (with the node's own
// scope).
void insert_before(Graph* graph, int32_t node, size_t input, Op op, Attributes attributes, const std::string& name);

// The nodes that transforms put into a layer. Weights are not touched.
void insert_inner_rotation(Graph* layer);
void insert_x_proj_row(Graph* layer);

// The node of this role ("out_proj", "head.logits") or kNone.
int32_t find_node(const Graph& graph, const std::string& role);

bool is_labelled(const Weight& weight, size_t dimension, Space space);  // the whole dimension, in one run

}  // namespace quamba2
