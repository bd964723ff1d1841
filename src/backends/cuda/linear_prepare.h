// SPDX-License-Identifier: Apache-2.0
// Re-lays weights of `linear` for the GPU (linear_layout.h), on the host, and reads them back.
#pragma once

#include "backend/kernel.h"
#include "backends/cuda/linear_layout.h"

namespace quamba2::cuda {

// Why the weight and activations of `args` are not of this kind; null if they are.
const char* refuse_kind(const LinearArgs& args, WeightKind kind);
LinearLayout layout_of(const LinearArgs& args, WeightKind kind);

void prepare_linear(const LinearArgs& args, WeightKind kind, void* destination, const Stream& stream);
// out [K]: the decoded row, from the host's copy.
void read_linear_row(const Operand& weight, WeightKind kind, const void* prepared, int32_t row, float* out);

// The f16 whose products with -8 .. 7, rounded to integers, are rint(code * inner / outer): what linear_w4a8 multiplies codes
// by. There is always one but where inner / outer is within 2^-23 of an odd half of several codes at once; then one of the
// sixteen may be off by one, at a value halfway between two.
uint16_t ratio_of(float inner, float outer);

}  // namespace quamba2::cuda
