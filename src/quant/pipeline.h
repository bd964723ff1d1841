// SPDX-License-Identifier: Apache-2.0
// Runs a recipe: checks what each pass needs, times it, keeps the facts, and probes passes that keep the function.
#pragma once

#include <string>
#include <vector>

#include "quamba2/quantize.h"
#include "quant/recipe.h"

namespace quamba2 {

struct PipelineOptions {
  std::string stop_after;
  std::vector<std::string> skip;
};

// Throws Error{kUsage} where a pass lacks what it needs (naming the pass that would give it), where `skip` or
// `stop_after` name no pass of the recipe or one that cannot be left out; Error{kInternal} where a pass that should keep
// the function moved the logits.
std::vector<PassReport> run_recipe(const Recipe& recipe, ModelData* model, Calibration* calibration,
                                   const PipelineOptions& options);

}  // namespace quamba2
