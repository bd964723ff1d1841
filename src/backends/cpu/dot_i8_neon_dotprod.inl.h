// SPDX-License-Identifier: Apache-2.0
// Dot products of i8 with SDOT (Armv8.2 with the dot product extension).
#include "backends/cpu/dot_i8_neon_sdot.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotRows = 14;  // rows of a tile: 28 sums, 2 vectors of weights, 1 of activations
constexpr bool kDotPairs = false;

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
