// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/levels.h"
#include "base/cpu_features.h"

namespace quamba2 {

std::vector<CpuLevel> find_cpu_levels() {
  const CpuFeatures& f = cpu_features();
  std::vector<CpuLevel> levels;
  if (f.amx_int8) levels.push_back({&kCpuAmxTable, &kCpuAmxPeaks});
  if (f.avx512_vnni) levels.push_back({&kCpuAvx512VnniTable, &kCpuAvx512VnniPeaks});
  if (f.avx512) levels.push_back({&kCpuAvx512Table, &kCpuAvx512Peaks});
  if (f.avx2) levels.push_back({&kCpuAvx2Table, &kCpuAvx2Peaks});
  levels.push_back({&kCpuScalarTable, &kCpuScalarPeaks});
  return levels;
}

}  // namespace quamba2
