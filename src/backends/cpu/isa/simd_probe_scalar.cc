// SPDX-License-Identifier: Apache-2.0
#define QUAMBA2_ISA scalar_probe
#define QUAMBA2_ISA_NAME "scalar"
#define QUAMBA2_ISA_PROBE kScalarSimdProbe
#include "backends/cpu/simd_scalar.inl.h"

#include "backends/cpu/simd_probe.inl.h"
