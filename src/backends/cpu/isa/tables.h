// SPDX-License-Identifier: Apache-2.0
// The symbols that ISA objects export: a kernel table and the loops of ceilings.h each, nothing else.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

struct CpuPeakLoops {
  const char* name;
  float (*read)(const void* data, int64_t bytes);
  float (*fma)(int64_t rounds);
  int64_t fma_operations;  // floating-point operations a round
  float (*dot)(int64_t rounds);
  int64_t dot_operations;  // 8-bit multiplications and additions a round
};

extern const KernelTable kCpuScalarTable;
extern const KernelTable kCpuAvx2Table;
extern const KernelTable kCpuAvx512Table;
extern const KernelTable kCpuAvx512VnniTable;
extern const KernelTable kCpuAmxTable;
extern const KernelTable kCpuNeonTable;
extern const KernelTable kCpuNeonDotprodTable;
extern const KernelTable kCpuNeonI8mmTable;

extern const CpuPeakLoops kCpuScalarPeaks;
extern const CpuPeakLoops kCpuAvx2Peaks;
extern const CpuPeakLoops kCpuAvx512Peaks;
extern const CpuPeakLoops kCpuAvx512VnniPeaks;
extern const CpuPeakLoops kCpuAmxPeaks;
extern const CpuPeakLoops kCpuNeonPeaks;
extern const CpuPeakLoops kCpuNeonDotprodPeaks;
extern const CpuPeakLoops kCpuNeonI8mmPeaks;

}  // namespace quamba2
