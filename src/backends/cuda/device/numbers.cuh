// SPDX-License-Identifier: Apache-2.0
// Activations on the device: an operand in the few words that a kernel needs, decoded to f32 and encoded from it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "tensor/view.h"

namespace quamba2::cuda {

// What decodes the numbers: nothing, one scale, one a row (of tokens), one a column.
enum class ScaleBy : uint8_t { kNothing, kTensor, kRow, kColumn };

// A matrix [T, C] of f32, f16, bf16 or i8 numbers.
struct Numbers {
  void* data;
  const void* scales;
  int32_t stride;  // elements a row
  DType dtype, scale_dtype;
  ScaleBy by;
};

inline Numbers numbers_of(const Operand& x) {
  Numbers n = {x.values.data,  x.scales[0].data,  x.values.stride[0],
               x.values.dtype, x.scales[0].dtype, ScaleBy::kNothing};
  if (x.format.levels == 0) return n;
  const Grain grain = x.format.level[0].grain;
  n.by = grain == Grain::kColumn ? ScaleBy::kColumn : grain == Grain::kRow ? ScaleBy::kRow : ScaleBy::kTensor;
  return n;
}

__device__ __forceinline__ float load_float(const void* p, DType dtype, int64_t i) {
  if (dtype == DType::kF16) return __half2float(static_cast<const __half*>(p)[i]);
  if (dtype == DType::kBF16) return __bfloat162float(static_cast<const __nv_bfloat16*>(p)[i]);
  return static_cast<const float*>(p)[i];
}

__device__ __forceinline__ float scale_of(const Numbers& x, int64_t row, int64_t column) {
  switch (x.by) {
    case ScaleBy::kTensor: return load_float(x.scales, x.scale_dtype, 0);
    case ScaleBy::kRow: return load_float(x.scales, x.scale_dtype, row);
    case ScaleBy::kColumn: return load_float(x.scales, x.scale_dtype, column);
    default: return 1.0f;
  }
}

// The number as it is stored: a code without its scale.
__device__ __forceinline__ float load_code(const Numbers& x, int64_t row, int64_t column) {
  const int64_t i = row * x.stride + column;
  if (x.dtype == DType::kI8) return static_cast<float>(static_cast<const int8_t*>(x.data)[i]);
  return load_float(x.data, x.dtype, i);
}
__device__ __forceinline__ float load_number(const Numbers& x, int64_t row, int64_t column) {
  const float code = load_code(x, row, column);
  return x.by == ScaleBy::kNothing ? code : code * scale_of(x, row, column);
}

// Ties to even, saturating; a scale of zero gives code 0.
__device__ __forceinline__ int8_t encode_i8(float v, float scale) {
  const float code = scale == 0.0f ? 0.0f : __fdiv_rn(v, scale);
  return static_cast<int8_t>(__float2int_rn(fminf(fmaxf(code, -128.0f), 127.0f)));
}

// What encodes numbers of a scale: v * up * inverse; `up` keeps 1 / scale finite where the scale is tiny.
struct CodeFactor {
  float up, inverse;
  __device__ __forceinline__ float steps(float v) const { return v * up * inverse; }
};
__device__ __forceinline__ CodeFactor code_factor(float scale) {
  const float up = scale < 0x1p-60f ? 0x1p+64f : 1.0f;
  return {up, scale > 0.0f ? __fdiv_rn(1.0f, scale * up) : 0.0f};
}

// Four codes, saturated, in a word.
__device__ __forceinline__ uint32_t pack_codes(const int (&code)[4]) {
  uint32_t word;
  asm("{\n"
      ".reg .u32 high;\n"
      "cvt.pack.sat.s8.s32.b32 high, %4, %3, 0;\n"
      "cvt.pack.sat.s8.s32.b32 %0, %2, %1, high;\n"
      "}"
      : "=r"(word)
      : "r"(code[0]), "r"(code[1]), "r"(code[2]), "r"(code[3]));
  return word;
}

// Scales must be static: dynamic ones belong to whole rows.
__device__ __forceinline__ void store_number(const Numbers& x, int64_t row, int64_t column, float v) {
  const int64_t i = row * x.stride + column;
  switch (x.dtype) {
    case DType::kI8: static_cast<int8_t*>(x.data)[i] = encode_i8(v, scale_of(x, row, column)); return;
    case DType::kF16: static_cast<__half*>(x.data)[i] = __float2half_rn(v); return;
    case DType::kBF16: static_cast<__nv_bfloat16*>(x.data)[i] = __float2bfloat16_rn(v); return;
    default: static_cast<float*>(x.data)[i] = v;
  }
}

// Why the functions above cannot read x, or write it where its scales are static; null where they can.
inline const char* refuse_numbers(const Operand& x) {
  const Format& f = x.format;
  if (x.values.rank != 2 || x.values.stride[1] != 1) return "needs a matrix with contiguous rows";
  if (is_float(f.storage) && f.storage != DType::kF64) return f.levels == 0 ? nullptr : "needs floats without scales";
  if (f.storage != DType::kI8 || f.levels != 1) return "needs f32, f16, bf16 or i8 numbers";
  if (f.level[0].grain == Grain::kGroup) return "needs scales a tensor, row or column";
  if (f.level[0].grain == Grain::kRow && !f.dynamic) return "needs scales a tensor or column, or dynamic ones a row";
  return is_float(f.level[0].dtype) ? nullptr : "needs float scales";
}
inline const char* refuse_static_numbers(const Operand& x) {
  return x.format.dynamic ? "needs static scales" : refuse_numbers(x);
}

}  // namespace quamba2::cuda
