// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA avx512_probe
#define QUAMBA2_ISA_NAME "avx512"
#define QUAMBA2_ISA_PROBE kAvx512SimdProbe
#include "backends/cpu/simd_avx512.inl.h"

#include "backends/cpu/simd_probe.inl.h"
