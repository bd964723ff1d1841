// SPDX-License-Identifier: Apache-2.0
// Scalar functions of the references, in double.
#pragma once

#include <cmath>
#include <vector>

#include "ops/gate.h"
#include "tensor/operand.h"

namespace quamba2::reference {

inline double silu(double x) { return x / (1.0 + std::exp(-x)); }
inline double softplus(double x) { return x > 20.0 ? x : std::log1p(std::exp(x)); }

// Segments cut into runs of at most `every` tokens, in order; as they are where `every` is 0.
std::vector<Segment> runs_of(const Segment* segments, int32_t count, int32_t every);

// A parameter vector of any float type; `count` copies of `fallback` where it has no data.
std::vector<double> parameters(const TensorView& view, int64_t count, double fallback);

// values <- H values, or H^T values, or as they are.
void rotate(Rotation rotation, std::vector<double>* values);

// Encodes [T, N] values, each column to the part that owns it.
void write_parts(const OutputParts& out, const std::vector<double>& values);

}  // namespace quamba2::reference
