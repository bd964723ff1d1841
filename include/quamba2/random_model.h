// SPDX-License-Identifier: Apache-2.0
// Checkpoints with random weights in the shapes of known models: for measurements of speed and memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quamba2/quantize.h"

namespace quamba2 {

std::vector<std::string> random_model_shapes();  // "mamba-130m", ..., "mamba2-2.7b", "mamba2-8b"

struct RandomModelOptions {
  std::string shape = "mamba2-130m";  // one of random_model_shapes()
  int64_t layers = 0;                 // 0: as many as that model has
  uint64_t seed = 0;                  // the same seed gives the same bytes
  bool replace = false;               // of a directory that is there
};

struct RandomModelReport {
  int64_t parameters = 0, layers = 0;
  uint64_t bytes = 0;  // of the weights
};

// Writes config.json (state-spaces form), model.safetensors (BF16; A_log, D and the bias of dt in F32) and a byte-level
// tokenizer.json as a directory that appears whole or not at all. Weights go to disk as they are drawn, a few MB at a
// time. Throws Error{kUsage} for an unknown shape or a target that is there, Error{kRuntime} where it cannot be written.
RandomModelReport write_random_model(const std::string& directory, const RandomModelOptions& options = {});

// A model in memory to measure speed with, quantized by `quantize.recipe` (empty: as it is drawn) without GPTQ and on
// random tokens. One layer is drawn; all others are copies of it. It has no tokenizer. Throws Error{kUsage} for an unknown
// shape, recipe or preset.
Model make_random_model(const RandomModelOptions& options, const QuantizeOptions& quantize);

}  // namespace quamba2
