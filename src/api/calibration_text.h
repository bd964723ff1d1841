// SPDX-License-Identifier: Apache-2.0
// Calibration text as windows of tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/model.h"
#include "quamba2/quantize.h"

namespace quamba2 {

// `calibration_samples` windows of `calibration_window` tokens, chosen by the seed, in random order. The text is plain, or
// JSON lines with a member "text" each: documents, which are joined by the end-of-text token. Throws Error{kUsage} for
// text that is missing, too short, no UTF-8 or a line without a document, Error{kModelFile} for a tokenizer that does not
// fit.
std::vector<std::vector<int32_t>> calibration_windows(const ModelData& model, const QuantizeOptions& options);

}  // namespace quamba2
