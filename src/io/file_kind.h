// SPDX-License-Identifier: Apache-2.0
// What a file is, judged by its first bytes, and how foreign text is shown in messages.
#pragma once

#include <string>
#include <string_view>

namespace quamba2 {

// Refuses what often lies where weights should: an empty file, a Git LFS pointer, a web page. Throws Error{kModelFile}
// with what to do about it.
void refuse_placeholder(std::string_view file, const std::string& where);

// Text from an untrusted file, safe to print: control characters and invalid UTF-8 become '?', at most 200 bytes.
std::string printable(std::string_view text);

}  // namespace quamba2
