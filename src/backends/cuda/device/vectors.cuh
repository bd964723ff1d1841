// SPDX-License-Identifier: Apache-2.0
// Numbers four at a time, where operands lie so that a thread can: f32 then moves in accesses of 16 bytes.
#pragma once

#include "backends/cuda/device/numbers.cuh"

namespace quamba2::cuda {

inline bool aligned_to(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

// Whether columns 0, 4, 8 ... of every row can be read and written four at a time.
inline bool in_fours(const Operand& x) {
  const TensorView& v = x.values;
  const size_t element = static_cast<size_t>(bits_of(v.dtype)) / 8;
  if (v.dim[1] % 4 != 0 || v.stride[0] % 4 != 0 || !aligned_to(v.data, 4 * element)) return false;
  const bool columns = x.format.levels > 0 && x.format.level[0].grain == Grain::kColumn;
  return !columns || (x.scales[0].dtype == DType::kF32 && aligned_to(x.scales[0].data, 16));
}
inline bool in_fours(const TensorView& parameters) { return aligned_to(parameters.data, 16); }

__device__ __forceinline__ float4 scales_of(const Numbers& x, int64_t row, int64_t column) {
  if (x.by == ScaleBy::kColumn) return *reinterpret_cast<const float4*>(static_cast<const float*>(x.scales) + column);
  const float s = scale_of(x, row, column);
  return {s, s, s, s};
}

// Loads and stores kWidth = 1 or 4 neighbours.
template <int kWidth>
struct Vector {
  float v[kWidth];
};

__device__ __forceinline__ Vector<1> load_vector(const Numbers& x, int64_t row, int64_t column, Vector<1>) {
  return {{load_number(x, row, column)}};
}
__device__ __forceinline__ Vector<4> load_vector(const Numbers& x, int64_t row, int64_t column, Vector<4>) {
  const int64_t i = row * x.stride + column;
  if (x.dtype == DType::kF32) {
    const float4 f = *reinterpret_cast<const float4*>(static_cast<const float*>(x.data) + i);
    return {{f.x, f.y, f.z, f.w}};
  }
  if (x.dtype == DType::kI8) {
    const char4 c = *reinterpret_cast<const char4*>(static_cast<const int8_t*>(x.data) + i);
    const float4 s = scales_of(x, row, column);
    return {{static_cast<float>(c.x) * s.x, static_cast<float>(c.y) * s.y, static_cast<float>(c.z) * s.z,
             static_cast<float>(c.w) * s.w}};
  }
  const uint2 bits = *reinterpret_cast<const uint2*>(static_cast<const uint16_t*>(x.data) + i);
  Vector<4> out;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const auto half = static_cast<uint16_t>((k < 2 ? bits.x : bits.y) >> (16 * (k % 2)));
    out.v[k] =
        x.dtype == DType::kF16 ? __half2float(__ushort_as_half(half)) : __bfloat162float(__ushort_as_bfloat16(half));
  }
  return out;
}
template <int kWidth>
__device__ __forceinline__ Vector<kWidth> load_vector(const Numbers& x, int64_t row, int64_t column) {
  return load_vector(x, row, column, Vector<kWidth>{});
}

__device__ __forceinline__ void store_vector(const Numbers& x, int64_t row, int64_t column, const Vector<1>& a) {
  store_number(x, row, column, a.v[0]);
}
__device__ __forceinline__ void store_vector(const Numbers& x, int64_t row, int64_t column, const Vector<4>& a) {
  const int64_t i = row * x.stride + column;
  if (x.dtype == DType::kF32) {
    *reinterpret_cast<float4*>(static_cast<float*>(x.data) + i) = {a.v[0], a.v[1], a.v[2], a.v[3]};
    return;
  }
  if (x.dtype == DType::kI8) {
    const float4 s = scales_of(x, row, column);
    const char4 c = {encode_i8(a.v[0], s.x), encode_i8(a.v[1], s.y), encode_i8(a.v[2], s.z), encode_i8(a.v[3], s.w)};
    *reinterpret_cast<char4*>(static_cast<int8_t*>(x.data) + i) = c;
    return;
  }
  uint16_t half[4];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    half[k] = x.dtype == DType::kF16 ? __half_as_ushort(__float2half_rn(a.v[k]))
                                     : __bfloat16_as_ushort(__float2bfloat16_rn(a.v[k]));
  }
  *reinterpret_cast<uint2*>(static_cast<uint16_t*>(x.data) + i) = {half[0] | static_cast<uint32_t>(half[1]) << 16,
                                                                   half[2] | static_cast<uint32_t>(half[3]) << 16};
}

// Parameters [C], or `fallback` where there are none.
template <int kWidth>
__device__ __forceinline__ Vector<kWidth> load_parameters(const float* p, int64_t column, float fallback) {
  Vector<kWidth> out;
  if constexpr (kWidth == 4) {
    if (p != nullptr) {
      const float4 f = *reinterpret_cast<const float4*>(p + column);
      return {{f.x, f.y, f.z, f.w}};
    }
  }
#pragma unroll
  for (int k = 0; k < kWidth; ++k) out.v[k] = p != nullptr ? p[column + k] : fallback;
  return out;
}

// A reciprocal of one ulp, numbers below 2^-126 included; infinity has zero.
__device__ __forceinline__ float reciprocal(float v) {
  float r;
  asm("rcp.approx.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
__device__ __forceinline__ float silu(float v) { return v * reciprocal(1.0f + expf(-v)); }

}  // namespace quamba2::cuda
