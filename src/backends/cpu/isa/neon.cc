// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA neon
#define QUAMBA2_ISA_NAME "neon"
#define QUAMBA2_ISA_TABLE kCpuNeonTable
#define QUAMBA2_ISA_PEAKS kCpuNeonPeaks
#include "backends/cpu/simd_neon.inl.h"

#include "backends/cpu/dot_i8_neon.inl.h"
#include "backends/cpu/lookup_neon.inl.h"

#include "backends/cpu/tiles_none.inl.h"

#include "backends/cpu/kernels.inl.h"
