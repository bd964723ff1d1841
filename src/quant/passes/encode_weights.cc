// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"
#include "quant/encode.h"
#include "quant/passes/passes.h"

namespace quamba2 {

// What GPTQ has encoded already stays.
Pass encode_weights(ScaleChoice choice) {
  const auto run = [choice](QuantPart& part, PassContext& context) {
    int encoded = 0;
    for (const auto& [index, format] : part.weights) {
      Weight& weight = part.graph.weights[static_cast<size_t>(index)];
      if (weight.format.levels > 0) continue;
      const std::vector<Axis> axes = weight.axes;
      weight = encode_weight(weight.name, weight.values.shape(), decode_weight(weight), format, choice,
                             context.calibration.backend().stream());
      weight.axes = axes;
      ++encoded;
    }
    context.detail = std::to_string(encoded) + " weights";
  };
  return {"encode_weights", facts(Fact::kFormats, Fact::kActivations), facts(Fact::kEncoded), 0, false, run};
}

}  // namespace quamba2
