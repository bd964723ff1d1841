// SPDX-License-Identifier: Apache-2.0
// The only place of the library that reads the environment.
#pragma once

#include <string>

namespace quamba2 {

std::string environment_variable(const char* name);  // empty where unset

}  // namespace quamba2
