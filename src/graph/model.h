// SPDX-License-Identifier: Apache-2.0
// A model in memory: its graph with weights and formats, and what the rest of the program has to know about it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/json.h"
#include "graph/graph.h"

namespace quamba2 {

// Orthonormal Hadamard transforms that the weights have been rearranged for, and that the emission has to put in.
struct Transforms {
  bool residual = false;  // the residual stream is H times the original one; a head with a table of its own absorbs it
  bool inner = false;     // out_proj reads H times the inner channels
  bool x_proj_row = false;  // Mamba1: x_proj reads a copy of x that is encoded anew
};
constexpr bool operator==(const Transforms& a, const Transforms& b) {
  return a.residual == b.residual && a.inner == b.inner && a.x_proj_row == b.x_proj_row;
}

struct ModelData {
  std::string directory;  // where it was read from: tokenizer and other side files are there
  std::string name;       // the directory's own name
  Json config;            // config.json as read
  std::string family;     // "mamba2"
  std::string recipe;     // "w8a8"; empty for an unquantized model
  int64_t d_model = 0;
  int64_t n_layer = 0;
  int64_t vocab_size = 0;  // ids that may be sampled; the table may have more rows (padding)
  bool tied = false;       // one table serves look-up and head
  Transforms transforms;
  Graph graph;
  std::map<std::string, std::string> notes;  // files of ours that are saved beside the weights: name, text
};

}  // namespace quamba2
