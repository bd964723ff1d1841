// SPDX-License-Identifier: Apache-2.0
// Where tests find their files, and a place to write.
#pragma once

#include <string>

namespace quamba2::testing {

// A file below tests/ or models/ of the source tree; always there.
std::string source_path(const std::string& relative);

// A file of the shared folder beside the checkout, or of $QUAMBA2_SHARED; empty where it is absent. Tests that need it
// call QUAMBA2_NEEDS_SHARED first and are counted as skipped.
std::string shared_path(const std::string& relative);

// A fresh directory that is removed when the program ends.
std::string temporary_directory();

}  // namespace quamba2::testing

#define QUAMBA2_NEEDS_SHARED(relative)                                    \
  if (::quamba2::testing::shared_path(relative).empty()) {                \
    GTEST_SKIP() << "needs shared/" << (relative) << ", which is absent"; \
  }
