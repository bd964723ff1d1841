// SPDX-License-Identifier: Apache-2.0
// Does a template take messages whose content is a list of parts?
#pragma once

#include "text/jinja/syntax.h"

namespace quamba2::jinja {

// Is there a for that goes through something named "content"?
bool goes_through_content(const Block& block);

}  // namespace quamba2::jinja
