// SPDX-License-Identifier: Apache-2.0
#include "base/cpu_features.h"

namespace quamba2 {

CpuFeatures detect_cpu_features() { return {.name = "unknown processor"}; }

}  // namespace quamba2
