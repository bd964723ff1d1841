// SPDX-License-Identifier: Apache-2.0
// The Simd vocabulary with 256-bit registers (AVX2, FMA, F16C). See simd_scalar.inl.h for what each word means.
#include <immintrin.h>

#include "backends/cpu/scalars.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kLanes = 8;
constexpr int kRegisters = 16;

struct F32 {
  __m256 v;
};
// Typed as 32-bit lanes: GCC keeps arrays of __m256i (64-bit lanes) that 32-bit instructions use in memory.
struct I32 {
  int32_t v [[gnu::vector_size(32)]];
};
QUAMBA2_INLINE __m256i raw(I32 a) { return reinterpret_cast<__m256i>(a.v); }
QUAMBA2_INLINE I32 i32(__m256i a) { return {reinterpret_cast<decltype(I32::v)>(a)}; }

alignas(32) constexpr int32_t kFirst[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
QUAMBA2_INLINE __m256i first(int n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirst + 8 - n)); }

// Memory.
QUAMBA2_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
QUAMBA2_INLINE F32 load_n(const float* p, int n) { return {_mm256_maskload_ps(p, first(n))}; }
QUAMBA2_INLINE void store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }
QUAMBA2_INLINE void store_n(float* p, F32 a, int n) { _mm256_maskstore_ps(p, first(n), a.v); }

QUAMBA2_INLINE F32 load_i8(const int8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
QUAMBA2_INLINE F32 load_i8_n(const int8_t* p, int n) {
  int8_t all[8] = {};
  for (int i = 0; i < n; ++i) all[i] = p[i];
  return load_i8(all);
}
QUAMBA2_INLINE F32 load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
QUAMBA2_INLINE F32 load_bf16(const uint16_t* p) {
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16))};
}
QUAMBA2_INLINE F32 load_f16_n(const uint16_t* p, int n) {
  uint16_t all[8] = {};
  for (int i = 0; i < n; ++i) all[i] = p[i];
  return load_f16(all);
}
QUAMBA2_INLINE F32 load_bf16_n(const uint16_t* p, int n) {
  uint16_t all[8] = {};
  for (int i = 0; i < n; ++i) all[i] = p[i];
  return load_bf16(all);
}

QUAMBA2_INLINE __m128i saturate_i8(F32 a) {
  const __m256 low = _mm256_max_ps(_mm256_set1_ps(-128.0f), _mm256_and_ps(a.v, _mm256_cmp_ps(a.v, a.v, _CMP_ORD_Q)));
  const __m256i codes = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(127.0f), low));
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
  return _mm_packs_epi16(words, words);
}
QUAMBA2_INLINE void store_i8(int8_t* p, F32 a) { _mm_storel_epi64(reinterpret_cast<__m128i*>(p), saturate_i8(a)); }
QUAMBA2_INLINE void store_i8_n(int8_t* p, F32 a, int n) {
  int8_t all[8];
  store_i8(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}
QUAMBA2_INLINE void store_f16(uint16_t* p, F32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
QUAMBA2_INLINE void store_bf16(uint16_t* p, F32 a) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, nan), 16);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1)));
}
QUAMBA2_INLINE void store_f16_n(uint16_t* p, F32 a, int n) {
  uint16_t all[8];
  store_f16(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}
QUAMBA2_INLINE void store_bf16_n(uint16_t* p, F32 a, int n) {
  uint16_t all[8];
  store_bf16(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}

// Arithmetic.
QUAMBA2_INLINE F32 zero() { return {_mm256_setzero_ps()}; }
QUAMBA2_INLINE F32 broadcast(float a) { return {_mm256_set1_ps(a)}; }
QUAMBA2_INLINE F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 div(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
QUAMBA2_INLINE F32 nfma(F32 a, F32 b, F32 c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
QUAMBA2_INLINE F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 sqrt(F32 a) { return {_mm256_sqrt_ps(a.v)}; }
QUAMBA2_INLINE F32 abs(F32 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
QUAMBA2_INLINE F32 rint(F32 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
QUAMBA2_INLINE F32 if_less(F32 a, F32 b, F32 yes, F32 no) {
  return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
QUAMBA2_INLINE __m256 power2(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
QUAMBA2_INLINE F32 scale2(F32 a, F32 n) {  // in two steps, so that denormals come out rounded once
  const __m256i all = _mm256_cvtps_epi32(n.v), half = _mm256_srai_epi32(all, 1);
  return {_mm256_mul_ps(_mm256_mul_ps(a.v, power2(half)), power2(_mm256_sub_epi32(all, half)))};
}
QUAMBA2_INLINE I32 rint_i32(F32 a) { return i32(_mm256_cvtps_epi32(a.v)); }
QUAMBA2_INLINE F32 to_f32(I32 a) { return {_mm256_cvtepi32_ps(raw(a))}; }
QUAMBA2_INLINE I32 load(const int32_t* p) { return i32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
QUAMBA2_INLINE void store(int32_t* p, I32 a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), raw(a)); }

// Bits.
QUAMBA2_INLINE I32 broadcast(int32_t a) { return i32(_mm256_set1_epi32(a)); }
QUAMBA2_INLINE I32 add(I32 a, I32 b) { return i32(_mm256_add_epi32(raw(a), raw(b))); }
QUAMBA2_INLINE I32 bit_and(I32 a, I32 b) { return i32(_mm256_and_si256(raw(a), raw(b))); }
QUAMBA2_INLINE I32 bit_or(I32 a, I32 b) { return i32(_mm256_or_si256(raw(a), raw(b))); }
template <int kBits>
QUAMBA2_INLINE I32 shift_right(I32 a) {
  return i32(_mm256_srli_epi32(raw(a), kBits));
}
template <int kBits>
QUAMBA2_INLINE I32 shift_left(I32 a) {
  return i32(_mm256_slli_epi32(raw(a), kBits));
}
QUAMBA2_INLINE F32 nibble(I32 a) { return sub(to_f32(bit_and(a, broadcast(15))), broadcast(8.0f)); }
QUAMBA2_INLINE F32 merge_bits(I32 a, int32_t mask, float b) {
  return {_mm256_or_ps(_mm256_castsi256_ps(raw(bit_and(a, broadcast(mask)))), _mm256_set1_ps(b))};
}

// Across lanes: halves are added first, always in the same order.
QUAMBA2_INLINE float sum(F32 a) {
  const __m128 y = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 z = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
QUAMBA2_INLINE float max_of(F32 a) {
  const __m128 y = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 z = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
