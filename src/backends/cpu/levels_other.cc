// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/levels.h"

namespace quamba2 {
namespace {

std::vector<CpuLevel> find_levels() { return {{&kCpuScalarTable, &kCpuScalarPeaks}}; }

}  // namespace

const std::vector<CpuLevel>& cpu_levels() {
  static const std::vector<CpuLevel> levels = find_levels();
  return levels;
}

}  // namespace quamba2
