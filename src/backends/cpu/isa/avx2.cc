// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA avx2
#define QUAMBA2_ISA_NAME "avx2"
#define QUAMBA2_ISA_TABLE kCpuAvx2Table
#define QUAMBA2_ISA_PEAKS kCpuAvx2Peaks
#include "backends/cpu/simd_avx2.inl.h"

#include "backends/cpu/dot_i8_avx2.inl.h"

#include "backends/cpu/lookup_avx2.inl.h"

#include "backends/cpu/tiles_none.inl.h"

#include "backends/cpu/kernels.inl.h"
