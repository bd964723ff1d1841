// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/levels.h"
#include "base/cpu_features.h"

namespace quamba2 {

std::vector<CpuLevel> find_cpu_levels() {
  const CpuFeatures& f = cpu_features();
  std::vector<CpuLevel> levels;
  if (f.arm_i8mm) levels.push_back({&kCpuNeonI8mmTable, &kCpuNeonI8mmPeaks});
  if (f.arm_dotprod) levels.push_back({&kCpuNeonDotprodTable, &kCpuNeonDotprodPeaks});
  levels.push_back({&kCpuNeonTable, &kCpuNeonPeaks});
  levels.push_back({&kCpuScalarTable, &kCpuScalarPeaks});
  return levels;
}

}  // namespace quamba2
