// SPDX-License-Identifier: Apache-2.0
// What the kernels of a decode step (step_linear.cu, mixer_step.cu) share: a tile of weights times one row of codes.
#pragma once

#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/linear_fragments.cuh"

namespace quamba2::cuda {

// Kinds whose sums are whole numbers: any order gives the same.
constexpr bool steps_exactly(WeightKind kind) { return kind == WeightKind::kI8 || kind == WeightKind::kI4Ratio; }

// d += a tile times the row: its results are d[0] and d[2] of lanes 4 g (rows g and g + 8 of the band). `x`: the row's codes
// where the tile begins.
template <WeightKind kKind>
__device__ __forceinline__ void multiply_row(int (&d)[4], const WeightTile& t, const int8_t* x) {
  using F = Fragments<kKind>;
  const int lane = threadIdx.x % 32;
  uint4 b = make_uint4(0, 0, 0, 0);
  if (lane < 4) {  // the other columns of the right operand are tokens that are not there
    if constexpr (F::kSteps == 2) {
      b = *reinterpret_cast<const uint4*>(x + lane * 16);
    } else {
      const uint2 v = *reinterpret_cast<const uint2*>(x + lane * 8);
      b.x = v.x, b.y = v.y;
    }
  }
#pragma unroll
  for (int s = 0; s < F::kSteps; ++s) {
    uint32_t a[4];
    F::registers(t, s, a);
    multiply_s8(d, a, s == 0 ? b.x : b.z, s == 0 ? b.y : b.w);
  }
}

}  // namespace quamba2::cuda
