// SPDX-License-Identifier: Apache-2.0
// gate:           out[t, e] = y[t, e] * silu(z[t, e])
// gated_rms_norm: over each of `groups` runs of E / groups consecutive channels (Mamba2; arXiv 2405.21060, section 7)
//   norm_before_gate = false:  v = y * silu(z);  out = v / sqrt(mean(v^2) + eps) * weight
//   norm_before_gate = true:   out = y / sqrt(mean(y^2) + eps) * weight * silu(z)
//   y, z, out [T, E] any activation format; weight [E] f32, or no data for all ones
// Both may be followed by the transform of ops/hadamard.h over the whole row: out = H (...), or H^T (...).
// out may alias y when their formats are equal.
#pragma once

#include "tensor/view.h"

namespace quamba2 {

enum class Rotation : uint8_t { kNone, kHadamard, kTransposedHadamard };

struct GateArgs {
  Operand y, z, out;
  Rotation rotation = Rotation::kNone;
};

struct GatedRmsNormArgs {
  Operand y, z;
  TensorView weight;
  Operand out;
  double eps = 1e-5;
  int32_t groups = 1;
  bool norm_before_gate = false;
  Rotation rotation = Rotation::kNone;
};

void reference_gate(const GateArgs& args);
void reference_gated_rms_norm(const GatedRmsNormArgs& args);

}  // namespace quamba2
