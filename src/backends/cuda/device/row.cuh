// SPDX-License-Identifier: Apache-2.0
// Kernels that see whole rows: one block a row, whose numbers lie in shared memory as f32 between the steps. A thread
// touches only its own numbers there, every kWidth * blockDim.x-th run of kWidth, unless a kernel says otherwise.
#pragma once

#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/vectors.cuh"
#include "backends/cuda/device/warp.cuh"

namespace quamba2::cuda {

constexpr int32_t kLongestRow = 51200;  // 200 KiB of shared memory
constexpr const char* kRowTooLong = "needs rows of at most 51200";

// Threads for a row: many where rows are few, so that each has little to do.
inline LaunchShape row_shape(int32_t rows, int32_t width, int vector) {
  const int32_t most = rows < 132 ? 1024 : 256;
  const int32_t wanted = (width / vector + 31) / 32 * 32;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(rows));
  shape.block = dim3(static_cast<unsigned>(wanted < 32 ? 32 : wanted > most ? most : wanted));
  shape.shared_bytes = static_cast<size_t>(width + 3) / 4 * 16;
  return shape;
}

template <int kWidth>
__device__ __forceinline__ Vector<kWidth> shared_vector(const float* values, int32_t i) {
  Vector<kWidth> out;
  if constexpr (kWidth == 4) {
    const float4 f = *reinterpret_cast<const float4*>(values + i);
    out = {{f.x, f.y, f.z, f.w}};
  } else {
    out.v[0] = values[i];
  }
  return out;
}
template <int kWidth>
__device__ __forceinline__ void set_shared_vector(float* values, int32_t i, const Vector<kWidth>& a) {
  if constexpr (kWidth == 4) {
    *reinterpret_cast<float4*>(values + i) = {a.v[0], a.v[1], a.v[2], a.v[3]};
  } else {
    values[i] = a.v[0];
  }
}

template <int kWidth>
__device__ __forceinline__ float largest_of(const Vector<kWidth>& a) {
  float largest = fabsf(a.v[0]);
#pragma unroll
  for (int k = 1; k < kWidth; ++k) largest = fmaxf(largest, fabsf(a.v[k]));
  return largest;
}

// Writes a row whose numbers `value(i)` gives, one vector at a time: as they come where the scales are known, else through
// `values` with the scale that their largest asks for. `reduce` holds 33 floats.
template <int kWidth, class Value>
__device__ __forceinline__ void write_row(const Numbers& out, int64_t row, int32_t width, float* values, float* reduce,
                                          Value value) {
  const int32_t step = static_cast<int32_t>(blockDim.x) * kWidth, first = static_cast<int32_t>(threadIdx.x) * kWidth;
  if (out.by != ScaleBy::kRow) {
    for (int32_t i = first; i < width; i += step) store_vector(out, row, i, value(i));
    return;
  }
  float largest = 0;
  for (int32_t i = first; i < width; i += step) {
    const Vector<kWidth> a = value(i);
    largest = fmaxf(largest, largest_of(a));
    set_shared_vector(values, i, a);
  }
  const float scale = block_max(largest, reduce) / 127.0f;
  if (threadIdx.x == 0) const_cast<float*>(static_cast<const float*>(out.scales))[row] = scale;
  for (int32_t i = first; i < width; i += step) {
    const Vector<kWidth> a = shared_vector<kWidth>(values, i);
    int8_t* target = static_cast<int8_t*>(out.data) + row * out.stride + i;
    if constexpr (kWidth == 4) {
      *reinterpret_cast<char4*>(target) = {encode_i8(a.v[0], scale), encode_i8(a.v[1], scale), encode_i8(a.v[2], scale),
                                           encode_i8(a.v[3], scale)};
    } else {
      *target = encode_i8(a.v[0], scale);
    }
  }
}

}  // namespace quamba2::cuda
