// SPDX-License-Identifier: Apache-2.0
// Runs a recipe part by part: every pass over the first layer, then over the second, and the head at the end. Checks what
// each pass needs, times it, keeps the facts, and probes passes that keep the function.
#pragma once

#include <string>
#include <vector>

#include "graph/artifact.h"
#include "quamba2/quantize.h"
#include "quant/recipe.h"

namespace quamba2 {

// Where finished parts are kept, so that a job that was ended goes on where it was, and quantized weights need not stay in
// memory.
class PartStore {
 public:
  virtual ~PartStore() = default;
  // A part that is finished already: true, and the part.
  virtual bool restore(int64_t part, Artifact* out) = 0;
  // Keeps it; may give tensors another home.
  virtual void keep(int64_t part, Artifact* finished) = 0;
};

struct PipelineOptions {
  std::string stop_after;
  std::vector<std::string> skip;
  PartStore* store = nullptr;
};

// Throws Error{kUsage} where a pass lacks what it needs (naming the pass that would give it), where `skip` or
// `stop_after` name no pass of the recipe or one that cannot be left out, or where passes need text and there is none;
// Error{kInternal} where a pass that should keep the function moved a part's outputs.
Artifact run_recipe(const Recipe& recipe, const ModelData& source, Calibration* calibration,
                    const PipelineOptions& options, std::vector<PassReport>* reports = nullptr);

// Whether any pass that would run reads calibration text.
bool needs_text(const Recipe& recipe, const ModelData& source, const PipelineOptions& options);

}  // namespace quamba2
