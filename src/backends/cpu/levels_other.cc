// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/levels.h"

namespace quamba2 {

std::vector<CpuLevel> find_cpu_levels() { return {{&kCpuScalarTable, &kCpuScalarPeaks}}; }

}  // namespace quamba2
