// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA neon_dotprod
#define QUAMBA2_ISA_NAME "neon_dotprod"
#define QUAMBA2_ISA_TABLE kCpuNeonDotprodTable
#define QUAMBA2_ISA_PEAKS kCpuNeonDotprodPeaks
#include "backends/cpu/simd_neon.inl.h"

#include "backends/cpu/dot_i8_neon_dotprod.inl.h"
#include "backends/cpu/lookup_neon.inl.h"

#include "backends/cpu/tiles_none.inl.h"

#include "backends/cpu/kernels.inl.h"
