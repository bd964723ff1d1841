// SPDX-License-Identifier: Apache-2.0
// Which processors the program runs on.
#pragma once

#include <string>

namespace quamba2::cli {

// Keeps this thread, and those that it starts from now on, on the processors of a list such as 0-3,8. An empty list leaves
// everything as it is. Throws Error{kUsage} where none of them, or not all, may be used.
void use_processors(const std::string& list);

}  // namespace quamba2::cli
