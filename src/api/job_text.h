// SPDX-License-Identifier: Apache-2.0
// What a long job was asked to do, as text: an ended job is gone on with only where it is the same.
#pragma once

#include <string>

#include "quamba2/quantize.h"

namespace quamba2 {

// Everything that decides the bits of a finished part.
std::string job_text(const QuantizeOptions& options, const Model& model, bool reads_text);

// Of a text that is not kept itself.
std::string fingerprint(const std::string& text);

}  // namespace quamba2
