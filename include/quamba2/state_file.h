// SPDX-License-Identifier: Apache-2.0
// Paused texts as files: safetensors with a checksum (docs/formats.md, "State files").
#pragma once

#include <string>
#include <string_view>

#include "quamba2/paused_text.h"

namespace quamba2 {

// Writes a file that appears in full or not at all; one of that name is replaced. Throws Error{kRuntime}.
void save_state_file(const PausedText& paused, const std::string& path);

// Both throw Error{kModelFile} for what is no state file, is damaged, or has another version; `where` names it.
PausedText load_state_file(const std::string& path);
PausedText parse_state_file(std::string_view file, const std::string& where);

}  // namespace quamba2
