// SPDX-License-Identifier: Apache-2.0
// A model in memory: its graph with weights and formats, and what the rest of the program has to know about it.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "graph/graph.h"

namespace quamba2 {

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
  Graph graph;
};

}  // namespace quamba2
