// SPDX-License-Identifier: Apache-2.0
// Orthonormal Walsh-Hadamard transforms of the sizes that models have: H = (H_m (x) Sylvester(2^k)) / sqrt(m 2^k), where
// H_m is a Hadamard matrix of order m (Paley's constructions). Safe to include in ISA code.
#pragma once

#include <cstdint>

namespace quamba2 {

// True where n = m * 2^k with m in {1, 12, 20, 28}. (40, which papers list too, is 20 * 2.)
bool has_hadamard(int64_t n);

// The smallest such m; 0 where there is none.
int hadamard_core_order(int64_t n);

// H_m as [m][m] of +1 and -1, for m = 1, 12, 20 or 28; no data for others. H_12 and H_20 are not symmetric, H_28 is.
const int8_t* hadamard_core(int m);

// x <- H x, or H^T x (the inverse), in place, in O(n (m + k)). Element i * 2^k + j: the core acts on i, Sylvester on j.
// Throws Error{kInternal} unless has_hadamard(n).
void hadamard_transform(double* x, int64_t n, bool transposed);
void hadamard_transform(float* x, int64_t n, bool transposed);

}  // namespace quamba2
