// SPDX-License-Identifier: Apache-2.0
// A linear of one token, together with the norm in front of it or the addition behind it.
#pragma once

#include "backend/kernel.h"
#include "backends/cuda/linear_parts.cuh"

namespace quamba2::cuda {

// out = weight * codes + bias, where the codes are x, or those of x / rms(x) * norm_weight under a scale of their own.
constexpr int32_t kLongestStepNorm = 4096;  // K where it is normalized
constexpr int32_t kLongestStepRow = 65536;  // else
constexpr int32_t kMostStepBands = 16;      // a block

struct StepLinear {
  PreparedWeight weight;
  Numbers x;                 // [1, K]: codes under a scale a row; f32 where it is normalized
  const float* norm_weight;  // [K], or null for ones
  float eps;
  bool norms;
  LinearParts out;
  const float* addend;  // [N] f32, or null: then sum = out + addend is written, and no part
  float* sum;
  int32_t bands_per_block;
};

bool has_step_linear(WeightKind kind);
void run_step_linear(WeightKind kind, const StepLinear& p, const Stream& stream);

}  // namespace quamba2::cuda
