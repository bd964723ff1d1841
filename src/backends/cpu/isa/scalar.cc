// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA scalar
#define QUAMBA2_ISA_NAME "scalar"
#define QUAMBA2_ISA_TABLE kCpuScalarTable
#define QUAMBA2_ISA_PEAKS kCpuScalarPeaks
#include "backends/cpu/simd_scalar.inl.h"

#include "backends/cpu/dot_i8_scalar.inl.h"

#include "backends/cpu/lookup_scalar.inl.h"

#include "backends/cpu/tiles_none.inl.h"

#include "backends/cpu/kernels.inl.h"
