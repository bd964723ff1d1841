// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA avx2_probe
#define QUAMBA2_ISA_NAME "avx2"
#define QUAMBA2_ISA_PROBE kAvx2SimdProbe
#include "backends/cpu/simd_avx2.inl.h"

#include "backends/cpu/simd_probe.inl.h"
