// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA neon_i8mm
#define QUAMBA2_ISA_NAME "neon_i8mm"
#define QUAMBA2_ISA_TABLE kCpuNeonI8mmTable
#define QUAMBA2_ISA_PEAKS kCpuNeonI8mmPeaks
#include "backends/cpu/simd_neon.inl.h"

#include "backends/cpu/dot_i8_neon_i8mm.inl.h"
#include "backends/cpu/lookup_neon.inl.h"

#include "backends/cpu/tiles_none.inl.h"

#include "backends/cpu/kernels.inl.h"
