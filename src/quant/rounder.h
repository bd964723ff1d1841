// SPDX-License-Identifier: Apache-2.0
// Rounds weights where calibration runs: on its device, or on the host.
#pragma once

#include <optional>

#include "quant/calibration.h"
#include "quant/encode.h"
#include "quant/gptq.h"

namespace quamba2 {

class Rounder {
 public:
  explicit Rounder(const Calibration& calibration) : calibration_(calibration) {}

  // By GPTQ (gptq.h), for the inputs that the weight's linear has on edge `input` of the part.
  Weight by_inputs(const Graph& part, EdgeId input, const Weight& weight, const Format& format,
                   const GptqOptions& options, GptqReport* report);
  Weight to_nearest(const Weight& weight, const Format& format, ScaleChoice choice);

 private:
  const Calibration& calibration_;
  std::optional<Dense> dense_;  // of the host
};

}  // namespace quamba2
