// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include "quamba2/error.h"

namespace quamba2 {

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  throw Error(ErrorCode::kInternal, "internal check failed", std::string(file) + ":" + std::to_string(line),
              std::string(condition) + (detail.empty() ? "" : " [" + detail + "]"), "please report this as a bug");
}

}  // namespace quamba2
