// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA neon_probe
#define QUAMBA2_ISA_NAME "neon"
#define QUAMBA2_ISA_PROBE kNeonSimdProbe
#include "backends/cpu/simd_neon.inl.h"

#include "backends/cpu/simd_probe.inl.h"
