// SPDX-License-Identifier: Apache-2.0
// The Simd vocabulary in portable C++, and what its words mean. Kernels (*.inl.h) are written over it and compiled once a
// level. Everything is in an anonymous namespace: no symbol of an ISA object may be shared with other objects.
//
//   F32, I32              kLanes floats, or 32-bit integers
//   load, store           any alignment; *_n: the first n lanes (0 <= n <= kLanes); others are read as 0, left unwritten
//   load_i8/f16/bf16      converted to f32
//   store_i8              rounded to nearest even, saturated to [-128, 127]; NaN gives 0
//   store_f16/bf16        rounded to nearest even
//   fma(a, b, c)          a * b + c, rounded once except on this level; nfma: c - a * b
//   min(a, b), max(a, b)  b where either is NaN
//   if_less(a, b, y, n)   a < b ? y : n
//   rint, rint_i32        to nearest even (|a| < 2^22 on this level)
//   scale2(a, n)          a * 2^n for integral n in [-252, 254]; the result may be denormal
//   shift_right/left<n>   logical, of 32-bit lanes; nibble(a): the low four bits less 8
//   merge_bits(a, m, b)   the bits (a & m) | b as a float
//   sum, max_of           across lanes, in an order fixed per level
#include "backends/cpu/scalars.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kLanes = 4;
constexpr int kRegisters = 16;

struct F32 {
  float v[kLanes];
};
struct I32 {
  int32_t v[kLanes];
};

QUAMBA2_INLINE float round_even(float a) {  // 1.5 * 2^23 leaves no bits below one
  const float magic = 0x1.8p23f;
  return (a + magic) - magic;
}
QUAMBA2_INLINE int8_t float_to_i8(float a) {
  if (!(a == a)) return 0;
  const float in = a < -128.0f ? -128.0f : a > 127.0f ? 127.0f : a;
  return static_cast<int8_t>(static_cast<int32_t>(round_even(in)));
}

template <class Function>
QUAMBA2_INLINE F32 each(Function function) {
  F32 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = function(i);
  return r;
}

// Memory.
QUAMBA2_INLINE F32 load(const float* p) {
  return each([=](int i) { return p[i]; });
}
QUAMBA2_INLINE F32 load_n(const float* p, int n) {
  return each([=](int i) { return i < n ? p[i] : 0.0f; });
}
QUAMBA2_INLINE void store_n(float* p, F32 a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}
QUAMBA2_INLINE void store(float* p, F32 a) { store_n(p, a, kLanes); }
QUAMBA2_INLINE F32 load_i8_n(const int8_t* p, int n) {
  return each([=](int i) { return i < n ? static_cast<float>(p[i]) : 0.0f; });
}
QUAMBA2_INLINE F32 load_i8(const int8_t* p) { return load_i8_n(p, kLanes); }
QUAMBA2_INLINE F32 load_f16_n(const uint16_t* p, int n) {
  return each([=](int i) { return i < n ? f16_to_float(p[i]) : 0.0f; });
}
QUAMBA2_INLINE F32 load_f16(const uint16_t* p) { return load_f16_n(p, kLanes); }
QUAMBA2_INLINE F32 load_bf16_n(const uint16_t* p, int n) {
  return each([=](int i) { return i < n ? bf16_to_float(p[i]) : 0.0f; });
}
QUAMBA2_INLINE F32 load_bf16(const uint16_t* p) { return load_bf16_n(p, kLanes); }
QUAMBA2_INLINE void store_i8_n(int8_t* p, F32 a, int n) {
  for (int i = 0; i < n; ++i) p[i] = float_to_i8(a.v[i]);
}
QUAMBA2_INLINE void store_i8(int8_t* p, F32 a) { store_i8_n(p, a, kLanes); }
QUAMBA2_INLINE void store_f16_n(uint16_t* p, F32 a, int n) {
  for (int i = 0; i < n; ++i) p[i] = float_to_f16(a.v[i]);
}
QUAMBA2_INLINE void store_f16(uint16_t* p, F32 a) { store_f16_n(p, a, kLanes); }
QUAMBA2_INLINE void store_bf16_n(uint16_t* p, F32 a, int n) {
  for (int i = 0; i < n; ++i) p[i] = float_to_bf16(a.v[i]);
}
QUAMBA2_INLINE void store_bf16(uint16_t* p, F32 a) { store_bf16_n(p, a, kLanes); }

// Arithmetic.
QUAMBA2_INLINE F32 broadcast(float a) {
  return each([=](int) { return a; });
}
QUAMBA2_INLINE F32 zero() { return broadcast(0.0f); }
QUAMBA2_INLINE F32 add(F32 a, F32 b) {
  return each([=](int i) { return a.v[i] + b.v[i]; });
}
QUAMBA2_INLINE F32 sub(F32 a, F32 b) {
  return each([=](int i) { return a.v[i] - b.v[i]; });
}
QUAMBA2_INLINE F32 mul(F32 a, F32 b) {
  return each([=](int i) { return a.v[i] * b.v[i]; });
}
QUAMBA2_INLINE F32 div(F32 a, F32 b) {
  return each([=](int i) { return a.v[i] / b.v[i]; });
}
QUAMBA2_INLINE F32 fma(F32 a, F32 b, F32 c) {
  return each([=](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
QUAMBA2_INLINE F32 nfma(F32 a, F32 b, F32 c) {
  return each([=](int i) { return c.v[i] - a.v[i] * b.v[i]; });
}
QUAMBA2_INLINE F32 min(F32 a, F32 b) {
  return each([=](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
QUAMBA2_INLINE F32 max(F32 a, F32 b) {
  return each([=](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
QUAMBA2_INLINE F32 sqrt(F32 a) {
  return each([=](int i) { return __builtin_sqrtf(a.v[i]); });
}
QUAMBA2_INLINE F32 abs(F32 a) {
  return each([=](int i) { return __builtin_fabsf(a.v[i]); });
}
QUAMBA2_INLINE F32 rint(F32 a) {
  return each([=](int i) { return round_even(a.v[i]); });
}
QUAMBA2_INLINE F32 if_less(F32 a, F32 b, F32 yes, F32 no) {
  return each([=](int i) { return a.v[i] < b.v[i] ? yes.v[i] : no.v[i]; });
}
QUAMBA2_INLINE float power2(int32_t n) { return float_of_bits(static_cast<uint32_t>(n + 127) << 23); }
QUAMBA2_INLINE F32 scale2(F32 a, F32 n) {  // in two steps, so that denormals come out rounded once
  return each([=](int i) {
    const int32_t all = static_cast<int32_t>(n.v[i]), half = all >> 1;
    return a.v[i] * power2(half) * power2(all - half);
  });
}
QUAMBA2_INLINE I32 rint_i32(F32 a) {
  I32 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = static_cast<int32_t>(round_even(a.v[i]));
  return r;
}
QUAMBA2_INLINE F32 to_f32(I32 a) {
  return each([=](int i) { return static_cast<float>(a.v[i]); });
}
QUAMBA2_INLINE I32 load(const int32_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
QUAMBA2_INLINE void store(int32_t* p, I32 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = a.v[i];
}

// Bits.
template <class Function>
QUAMBA2_INLINE I32 each_i32(Function function) {
  I32 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = static_cast<int32_t>(function(i));
  return r;
}
QUAMBA2_INLINE I32 broadcast(int32_t a) {
  return each_i32([=](int) { return a; });
}
QUAMBA2_INLINE I32 add(I32 a, I32 b) {
  return each_i32([=](int i) { return static_cast<uint32_t>(a.v[i]) + static_cast<uint32_t>(b.v[i]); });
}
QUAMBA2_INLINE I32 bit_and(I32 a, I32 b) {
  return each_i32([=](int i) { return a.v[i] & b.v[i]; });
}
QUAMBA2_INLINE I32 bit_or(I32 a, I32 b) {
  return each_i32([=](int i) { return a.v[i] | b.v[i]; });
}
template <int kBits>
QUAMBA2_INLINE I32 shift_right(I32 a) {
  return each_i32([=](int i) { return static_cast<uint32_t>(a.v[i]) >> kBits; });
}
template <int kBits>
QUAMBA2_INLINE I32 shift_left(I32 a) {
  return each_i32([=](int i) { return static_cast<uint32_t>(a.v[i]) << kBits; });
}
QUAMBA2_INLINE F32 nibble(I32 a) { return sub(to_f32(bit_and(a, broadcast(15))), broadcast(8.0f)); }
QUAMBA2_INLINE F32 merge_bits(I32 a, int32_t mask, float b) {
  return each([=](int i) { return float_of_bits(static_cast<uint32_t>(a.v[i] & mask) | bits_of_float(b)); });
}

// Across lanes.
QUAMBA2_INLINE float sum(F32 a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
QUAMBA2_INLINE float max_of(F32 a) {
  const float x = a.v[0] > a.v[1] ? a.v[0] : a.v[1], y = a.v[2] > a.v[3] ? a.v[2] : a.v[3];
  return x > y ? x : y;
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
