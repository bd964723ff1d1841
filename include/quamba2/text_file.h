// SPDX-License-Identifier: Apache-2.0
// Text files that programs built on the library write.
#pragma once

#include <string>

namespace quamba2 {

// Writes a file that appears whole, on disk, or not at all; one that is there is replaced. Throws Error{kRuntime}.
void write_text_file(const std::string& path, const std::string& text);

}  // namespace quamba2
