// SPDX-License-Identifier: Apache-2.0
// The Simd vocabulary with the 128-bit registers of 64-bit Arm (Armv8.0: Advanced SIMD, which every such processor has).
// See simd_scalar.inl.h for what each word means. One register a vector: tiles hold 28 of the 32 as sums.
#include <arm_neon.h>

#include "backends/cpu/scalars.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kLanes = 4;
constexpr int kRegisters = 32;

struct F32 {
  float32x4_t v;
};
struct I32 {
  int32x4_t v;
};

// Memory. There are no masked loads: pairs and single lanes, so that nothing beyond n is touched.
QUAMBA2_INLINE F32 load(const float* p) { return {vld1q_f32(p)}; }
QUAMBA2_INLINE F32 load_n(const float* p, int n) {
  if (n >= kLanes) return load(p);
  const float32x4_t none = vdupq_n_f32(0.0f);
  if (n < 2) return {n == 1 ? vld1q_lane_f32(p, none, 0) : none};
  const float32x4_t pair = vcombine_f32(vld1_f32(p), vget_low_f32(none));
  return {n == 3 ? vld1q_lane_f32(p + 2, pair, 2) : pair};
}
QUAMBA2_INLINE void store(float* p, F32 a) { vst1q_f32(p, a.v); }
QUAMBA2_INLINE void store_n(float* p, F32 a, int n) {
  if (n >= kLanes) return store(p, a);
  if (n >= 2) vst1_f32(p, vget_low_f32(a.v));
  if (n == 3) vst1q_lane_f32(p + 2, a.v, 2);
  if (n == 1) vst1q_lane_f32(p, a.v, 0);
}

QUAMBA2_INLINE F32 load_i8(const int8_t* p) {
  const int8x8_t a = vreinterpret_s8_s32(vset_lane_s32(load_as<int32_t>(p, 0), vdup_n_s32(0), 0));
  return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(a))))};
}
QUAMBA2_INLINE F32 load_f16(const uint16_t* p) { return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))}; }
QUAMBA2_INLINE F32 load_bf16(const uint16_t* p) { return {vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16))}; }
QUAMBA2_INLINE F32 load_i8_n(const int8_t* p, int n) {
  int8_t all[kLanes] = {};
  for (int i = 0; i < n; ++i) all[i] = p[i];
  return load_i8(all);
}
QUAMBA2_INLINE F32 load_f16_n(const uint16_t* p, int n) {
  uint16_t all[kLanes] = {};
  for (int i = 0; i < n; ++i) all[i] = p[i];
  return load_f16(all);
}
QUAMBA2_INLINE F32 load_bf16_n(const uint16_t* p, int n) {
  uint16_t all[kLanes] = {};
  for (int i = 0; i < n; ++i) all[i] = p[i];
  return load_bf16(all);
}

QUAMBA2_INLINE void store_i8(int8_t* p, F32 a) {  // FCVTNS: nearest even, saturated, 0 for NaN
  const int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(a.v));
  const int8x8_t codes = vqmovn_s16(vcombine_s16(words, words));
  const int32_t four = vget_lane_s32(vreinterpret_s32_s8(codes), 0);
  __builtin_memcpy(p, &four, 4);
}
QUAMBA2_INLINE void store_f16(uint16_t* p, F32 a) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a.v))); }
QUAMBA2_INLINE void store_bf16(uint16_t* p, F32 a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a.v);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  vst1_u16(p, vshrn_n_u32(vbslq_u32(vceqq_f32(a.v, a.v), up, quiet), 16));
}
QUAMBA2_INLINE void store_i8_n(int8_t* p, F32 a, int n) {
  int8_t all[kLanes];
  store_i8(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}
QUAMBA2_INLINE void store_f16_n(uint16_t* p, F32 a, int n) {
  uint16_t all[kLanes];
  store_f16(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}
QUAMBA2_INLINE void store_bf16_n(uint16_t* p, F32 a, int n) {
  uint16_t all[kLanes];
  store_bf16(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}

// Arithmetic.
QUAMBA2_INLINE F32 zero() { return {vdupq_n_f32(0.0f)}; }
QUAMBA2_INLINE F32 broadcast(float a) { return {vdupq_n_f32(a)}; }
QUAMBA2_INLINE F32 add(F32 a, F32 b) { return {vaddq_f32(a.v, b.v)}; }
QUAMBA2_INLINE F32 sub(F32 a, F32 b) { return {vsubq_f32(a.v, b.v)}; }
QUAMBA2_INLINE F32 mul(F32 a, F32 b) { return {vmulq_f32(a.v, b.v)}; }
QUAMBA2_INLINE F32 div(F32 a, F32 b) { return {vdivq_f32(a.v, b.v)}; }
QUAMBA2_INLINE F32 fma(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
QUAMBA2_INLINE F32 nfma(F32 a, F32 b, F32 c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
// Compared and selected: FMIN gives NaN where either is, FMINNM the number, and we want b.
QUAMBA2_INLINE F32 min(F32 a, F32 b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
QUAMBA2_INLINE F32 max(F32 a, F32 b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
QUAMBA2_INLINE F32 sqrt(F32 a) { return {vsqrtq_f32(a.v)}; }
QUAMBA2_INLINE F32 abs(F32 a) { return {vabsq_f32(a.v)}; }
QUAMBA2_INLINE F32 rint(F32 a) { return {vrndnq_f32(a.v)}; }
QUAMBA2_INLINE F32 if_less(F32 a, F32 b, F32 yes, F32 no) { return {vbslq_f32(vcltq_f32(a.v, b.v), yes.v, no.v)}; }
QUAMBA2_INLINE float32x4_t power2(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
QUAMBA2_INLINE F32 scale2(F32 a, F32 n) {  // in two steps, so that denormals come out rounded once
  const int32x4_t all = vcvtq_s32_f32(n.v), half = vshrq_n_s32(all, 1);
  return {vmulq_f32(vmulq_f32(a.v, power2(half)), power2(vsubq_s32(all, half)))};
}
QUAMBA2_INLINE I32 rint_i32(F32 a) { return {vcvtnq_s32_f32(a.v)}; }
QUAMBA2_INLINE F32 to_f32(I32 a) { return {vcvtq_f32_s32(a.v)}; }
QUAMBA2_INLINE I32 load(const int32_t* p) { return {vld1q_s32(p)}; }
QUAMBA2_INLINE void store(int32_t* p, I32 a) { vst1q_s32(p, a.v); }

// Bits.
QUAMBA2_INLINE I32 broadcast(int32_t a) { return {vdupq_n_s32(a)}; }
QUAMBA2_INLINE I32 add(I32 a, I32 b) { return {vaddq_s32(a.v, b.v)}; }
QUAMBA2_INLINE I32 bit_and(I32 a, I32 b) { return {vandq_s32(a.v, b.v)}; }
QUAMBA2_INLINE I32 bit_or(I32 a, I32 b) { return {vorrq_s32(a.v, b.v)}; }
template <int kBits>
QUAMBA2_INLINE I32 shift_right(I32 a) {
  return {vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.v), kBits))};
}
template <int kBits>
QUAMBA2_INLINE I32 shift_left(I32 a) {
  return {vshlq_n_s32(a.v, kBits)};
}
QUAMBA2_INLINE F32 nibble(I32 a) { return sub(to_f32(bit_and(a, broadcast(15))), broadcast(8.0f)); }
QUAMBA2_INLINE F32 merge_bits(I32 a, int32_t mask, float b) {
  const I32 bits = {vreinterpretq_s32_f32(vdupq_n_f32(b))};
  return {vreinterpretq_f32_s32(bit_or(bit_and(a, broadcast(mask)), bits).v)};
}

// Across lanes: (0 + 1) + (2 + 3), always.
QUAMBA2_INLINE float sum(F32 a) { return vaddvq_f32(a.v); }
QUAMBA2_INLINE float max_of(F32 a) { return vmaxvq_f32(a.v); }

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
