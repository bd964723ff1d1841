// SPDX-License-Identifier: Apache-2.0
// The values that codes of a weight row can take, with the host's roundings (quant/code_book.h): equal inputs give equal
// codes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "backend/rounding.h"
#include "tensor/operand.h"

namespace quamba2::cuda {

struct CodeRange {
  float lowest, highest;
  bool two_levels;
};

inline CodeRange code_range(const Format& f) {
  return {static_cast<float>(min_code(f.storage)), static_cast<float>(max_code(f.storage)), f.levels == 2};
}

// A scale as it is stored: halves stay finite, and f32 ones are numbers that bf16 has, away from zero.
__device__ __forceinline__ float rounded_scale(DType type, float scale) {
  const float magnitude = fabsf(scale);
  float v;
  if (type == DType::kF32) {
    const auto near = __bfloat16_as_ushort(__float2bfloat16_rn(magnitude));
    v = __bfloat162float(__ushort_as_bfloat16(near));
    if (v < magnitude) v = __bfloat162float(__ushort_as_bfloat16(static_cast<unsigned short>(near + 1)));
  } else {
    v = __half2float(
        __ushort_as_half(min(__half_as_ushort(__float2half_rn(magnitude)), static_cast<unsigned short>(0x7bff))));
  }
  return scale < 0 ? -v : v;
}

__device__ __forceinline__ float inverse_of(float scale) { return scale == 0 ? 0.0f : __fdiv_rn(1.0f, scale); }

__device__ __forceinline__ float nearest_code(const CodeRange& c, float target, float inverse) {
  return rintf(fminf(fmaxf(__fmul_rn(target, inverse), c.lowest), c.highest));
}

__device__ __forceinline__ float value_of(const CodeRange& c, float code, float scale, float row_scale) {
  const float v = __fmul_rn(code, scale);
  if (!c.two_levels) return v;
  return row_scale == 0 ? 0.0f : __fmul_rn(rintf(__fdiv_rn(v, row_scale)), row_scale);
}

__device__ __forceinline__ float row_scale_of(const WeightRows& rows, int64_t r) {
  return rows.format.levels == 2 ? rows.row_scales[r] : 1.0f;
}

// For largest |scale| of the row.
__device__ __forceinline__ float row_scale_for(const Format& f, float most) {
  return rounded_scale(f.level[1].dtype, __fdiv_rn(__fmul_rn(8.0f, most), 127.0f));
}

inline cudaStream_t stream_of(const Stream& stream) { return static_cast<cudaStream_t>(stream.device); }

inline unsigned blocks_for(int64_t items, int64_t a_block) {
  return static_cast<unsigned>((items + a_block - 1) / a_block);
}

}  // namespace quamba2::cuda
