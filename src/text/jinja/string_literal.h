// SPDX-License-Identifier: Apache-2.0
// The inside of a quoted string in a template.
#pragma once

#include <string>
#include <string_view>

namespace quamba2::jinja {

// Decodes Python's escapes; unknown ones stay as they are. Throws Error{kModelFile} that names the line for what is no
// character.
std::string decode_string_literal(std::string_view inside, int line);

}  // namespace quamba2::jinja
