// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA amx
#define QUAMBA2_ISA_NAME "amx"
#define QUAMBA2_ISA_TABLE kCpuAmxTable
#define QUAMBA2_ISA_PEAKS kCpuAmxPeaks
#include "backends/cpu/simd_avx512.inl.h"

#include "backends/cpu/dot_i8_avx512vnni.inl.h"

#include "backends/cpu/lookup_avx512.inl.h"

#include "backends/cpu/tiles_amx.inl.h"

#include "backends/cpu/kernels.inl.h"
