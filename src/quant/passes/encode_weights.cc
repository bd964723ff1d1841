// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"
#include "quant/encode.h"
#include "quant/passes/passes.h"
#include "quant/rounder.h"

namespace quamba2 {

// What GPTQ has encoded already stays.
Pass encode_weights(ScaleChoice choice) {
  const auto run = [choice](QuantPart& part, PassContext& context) {
    Rounder rounder(context.calibration);
    int encoded = 0;
    for (const auto& [index, format] : part.weights) {
      Weight& weight = part.graph.weights[static_cast<size_t>(index)];
      if (weight.format.levels > 0) continue;
      weight = rounder.to_nearest(weight, format, choice);
      ++encoded;
    }
    context.detail = std::to_string(encoded) + " weights";
  };
  return {"encode_weights", facts(Fact::kFormats, Fact::kActivations), facts(Fact::kEncoded), 0, false, run};
}

}  // namespace quamba2
