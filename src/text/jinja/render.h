// SPDX-License-Identifier: Apache-2.0
// Runs a parsed template.
#pragma once

#include <ctime>
#include <string>

#include "text/jinja/syntax.h"

namespace quamba2::jinja {

// What the template writes with these variables. Throws Error whose `where` is the line: kUsage where template and
// variables do not go together or it costs too much, kModelFile for what is not known here.
std::string render(const Block& block, Members variables, std::time_t now);

}  // namespace quamba2::jinja
