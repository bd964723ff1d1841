// SPDX-License-Identifier: Apache-2.0
// The Simd vocabulary of each level behind plain functions, for simd_test.cc. Not part of the library.
#pragma once

#include <cstdint>

namespace quamba2 {

struct SimdProbe {
  const char* name;
  int lanes;
  // out[i] = f(in[i]), i in [0, n): whole vectors, then a partial one.
  void (*exp)(const float* in, float* out, int64_t n);
  void (*log1p)(const float* in, float* out, int64_t n);
  void (*softplus)(const float* in, float* out, int64_t n);
  void (*silu)(const float* in, float* out, int64_t n);
  void (*store_i8)(const float* in, int8_t* out, int64_t n);
  void (*store_f16)(const float* in, uint16_t* out, int64_t n);
  void (*store_bf16)(const float* in, uint16_t* out, int64_t n);
  void (*load_i8)(const int8_t* in, float* out, int64_t n);
  void (*load_f16)(const uint16_t* in, float* out, int64_t n);
  void (*load_bf16)(const uint16_t* in, float* out, int64_t n);
  void (*reduce)(const float* in, float* out);  // one vector: sum, then max_of
};

extern const SimdProbe kScalarSimdProbe;
extern const SimdProbe kAvx2SimdProbe;
extern const SimdProbe kAvx512SimdProbe;
extern const SimdProbe kNeonSimdProbe;

}  // namespace quamba2
