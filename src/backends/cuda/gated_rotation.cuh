// SPDX-License-Identifier: Apache-2.0
// gate or gated_rms_norm with the hadamard behind it, a row in registers: for the widths that models have.
#pragma once

#include "backend/kernel.h"
#include "backends/cuda/device/numbers.cuh"
#include "ops/gate.h"

namespace quamba2::cuda {

struct GatedRows {
  Numbers y, z, out;
  const float* weight;  // [C] or null
  int32_t rows, width;
  int32_t group_width;  // of what is normalized together; 0: nothing is
  float eps;
  bool norm_before_gate;
};

// Whether it has launched; operands must be such that they can be read four at a time (vectors.cuh).
bool run_gated_rotation(const GatedRows& rows, Rotation rotation, const Stream& stream);
bool run_gated_rotation_few(const GatedRows& rows, Rotation rotation,
                            const Stream& stream);  // for that, where rows are few

}  // namespace quamba2::cuda
