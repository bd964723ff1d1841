// SPDX-License-Identifier: Apache-2.0
#include "quamba2/text_file.h"

#include "base/file.h"

namespace quamba2 {

void write_text_file(const std::string& path, const std::string& text) { write_file(path, text); }

}  // namespace quamba2
