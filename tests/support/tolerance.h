// SPDX-License-Identifier: Apache-2.0
// How far a kernel may be from the exact result. The only place of tolerances; docs/numerics.md derives them. Each
// function takes a problem whose outputs hold the exact results in f64 (inputs as the kernel sees them), with the
// initial states beside, and returns one bound an element of each output, in the order of outputs_of. Rounding to the
// output's own format is not part of a bound: the harness applies it to both ends of the interval.
#pragma once

#include <vector>

#include "ops/causal_conv1d.h"
#include "ops/elementwise.h"
#include "ops/gate.h"
#include "ops/hadamard.h"
#include "ops/norm.h"
#include "ops/select_rows.h"
#include "ops/selective_scan.h"
#include "ops/ssd_scan.h"

namespace quamba2::testing {

using Bounds = std::vector<std::vector<double>>;

constexpr double kUnit = 0x1p-24;  // unit roundoff u of f32
// Relative error of n roundings in a row (Higham, Accuracy and Stability of Numerical Algorithms, lemma 3.1).
constexpr double gamma(double n) { return n * kUnit / (1 - n * kUnit); }
// Denormal results and vector exponentials may lose everything below the smallest normal number.
constexpr double kTiny = 0x1p-120;

Bounds bounds(const RmsNormArgs& exact, const RmsNormArgs& initial);
Bounds bounds(const LayerNormArgs& exact, const LayerNormArgs& initial);
Bounds bounds(const GateArgs& exact, const GateArgs& initial);
Bounds bounds(const GatedRmsNormArgs& exact, const GatedRmsNormArgs& initial);
Bounds bounds(const HadamardArgs& exact, const HadamardArgs& initial);
Bounds bounds(const AddArgs& exact, const AddArgs& initial);
Bounds bounds(const ConvertArgs& exact, const ConvertArgs& initial);
Bounds bounds(const SelectRowsArgs& exact, const SelectRowsArgs& initial);
Bounds bounds(const CausalConv1dArgs& exact, const CausalConv1dArgs& initial);
Bounds bounds(const SelectiveScanArgs& exact, const SelectiveScanArgs& initial);
Bounds bounds(const SsdScanArgs& exact, const SsdScanArgs& initial);

}  // namespace quamba2::testing
