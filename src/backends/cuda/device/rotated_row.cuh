// SPDX-License-Identifier: Apache-2.0
// A row in shared memory, rotated on its way out.
#pragma once

#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/device/row.cuh"
#include "ops/gate.h"

namespace quamba2::cuda {

inline HadamardShape rotation_of(Rotation rotation, int32_t width) {
  if (rotation == Rotation::kNone) return {};
  return hadamard_shape(width, rotation == Rotation::kTransposedHadamard);
}

inline const char* refuse_rotation(Rotation rotation, int32_t width) {
  if (rotation == Rotation::kNone) return nullptr;
  if (!has_hadamard(width)) return "needs a width of m * 2^k, m one of 1, 12, 20, 28";
  return width > kLongestRow / 2 ? "needs rows of at most 25600" : nullptr;
}

// Behind `values` there is room for another row, for outputs with a scale a row.
template <int kWidth>
__device__ __forceinline__ void rotate_and_write(const Numbers& out, int64_t row, float* values, float* reduce,
                                                 const HadamardShape& h) {
  hadamard_runs(values, h);
  write_row<kWidth>(out, row, h.width, values + (h.width + 3) / 4 * 4, reduce, [&](int32_t i) {
    Vector<kWidth> a;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) a.v[k] = hadamard_element(values, h, i + k);
    return a;
  });
}

}  // namespace quamba2::cuda
