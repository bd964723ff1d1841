// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/levels.h"

namespace quamba2 {

const std::vector<CpuLevel>& cpu_levels() {
  static const std::vector<CpuLevel> levels = find_cpu_levels();
  return levels;
}

}  // namespace quamba2
