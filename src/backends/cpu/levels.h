// SPDX-License-Identifier: Apache-2.0
// The instruction-set levels of this kind of processor. One source a kind: levels_<processor>.cc.
#pragma once

#include <vector>

#include "backends/cpu/isa/tables.h"

namespace quamba2 {

struct CpuLevel {
  const KernelTable* table;
  const CpuPeakLoops* peaks;
};

// Those that this processor can run, best first. The last is "scalar".
const std::vector<CpuLevel>& cpu_levels();
// The same, found out anew: what levels_<processor>.cc gives.
std::vector<CpuLevel> find_cpu_levels();

}  // namespace quamba2
