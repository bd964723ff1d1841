// SPDX-License-Identifier: Apache-2.0
// Checks of our own promises. A failed one is a bug in this library, and says where.
#pragma once

#include <string>

namespace quamba2 {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& detail);

}  // namespace quamba2

// QUAMBA2_CHECK(condition, detail): always on; `detail` is anything a std::string is made from.
#define QUAMBA2_CHECK(condition, detail)                                                 \
  do {                                                                                   \
    if (!(condition)) ::quamba2::check_failed(__FILE__, __LINE__, #condition, (detail)); \
  } while (false)
