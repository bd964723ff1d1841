// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA avx512vnni
#define QUAMBA2_ISA_NAME "avx512vnni"
#define QUAMBA2_ISA_TABLE kCpuAvx512VnniTable
#define QUAMBA2_ISA_PEAKS kCpuAvx512VnniPeaks
#include "backends/cpu/simd_avx512.inl.h"

#include "backends/cpu/dot_i8_avx512vnni.inl.h"

#include "backends/cpu/lookup_avx512.inl.h"

#include "backends/cpu/tiles_none.inl.h"

#include "backends/cpu/kernels.inl.h"
