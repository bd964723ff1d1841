// SPDX-License-Identifier: Apache-2.0
// The Simd vocabulary with 512-bit registers (AVX-512 F, BW, DQ, VL). See simd_scalar.inl.h for what each word means.
#include <immintrin.h>

#include "backends/cpu/scalars.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kLanes = 16;
constexpr int kRegisters = 32;

struct F32 {
  __m512 v;
};
// Typed as 32-bit lanes: GCC keeps arrays of __m512i (64-bit lanes) that 32-bit instructions use in memory.
struct I32 {
  int32_t v [[gnu::vector_size(64)]];
};
QUAMBA2_INLINE __m512i raw(I32 a) { return reinterpret_cast<__m512i>(a.v); }
QUAMBA2_INLINE I32 i32(__m512i a) { return {reinterpret_cast<decltype(I32::v)>(a)}; }

QUAMBA2_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

// Memory.
QUAMBA2_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
QUAMBA2_INLINE F32 load_n(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
QUAMBA2_INLINE void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
QUAMBA2_INLINE void store_n(float* p, F32 a, int n) { _mm512_mask_storeu_ps(p, first(n), a.v); }

QUAMBA2_INLINE F32 load_i8(const int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
QUAMBA2_INLINE F32 load_i8_n(const int8_t* p, int n) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first(n), p)))};
}
QUAMBA2_INLINE F32 load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
QUAMBA2_INLINE F32 load_f16_n(const uint16_t* p, int n) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p))};
}
QUAMBA2_INLINE F32 expand_bf16(__m256i a) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16))};
}
QUAMBA2_INLINE F32 load_bf16(const uint16_t* p) {
  return expand_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
QUAMBA2_INLINE F32 load_bf16_n(const uint16_t* p, int n) { return expand_bf16(_mm256_maskz_loadu_epi16(first(n), p)); }

QUAMBA2_INLINE __m128i saturate_i8(F32 a) {
  const __m512 low = _mm512_max_ps(_mm512_set1_ps(-128.0f), a.v);  // NaN passes
  const __m512 in = _mm512_min_ps(_mm512_set1_ps(127.0f), low);
  return _mm512_cvtepi32_epi8(_mm512_maskz_cvtps_epi32(_mm512_cmp_ps_mask(a.v, a.v, _CMP_ORD_Q), in));
}
QUAMBA2_INLINE void store_i8(int8_t* p, F32 a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), saturate_i8(a)); }
QUAMBA2_INLINE void store_i8_n(int8_t* p, F32 a, int n) { _mm_mask_storeu_epi8(p, first(n), saturate_i8(a)); }
QUAMBA2_INLINE void store_f16(uint16_t* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
QUAMBA2_INLINE void store_f16_n(uint16_t* p, F32 a, int n) {
  _mm256_mask_storeu_epi16(p, first(n), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
// VCVTNEPS2BF16 would flush denormals, and is not in every processor of this level.
QUAMBA2_INLINE __m256i round_bf16(F32 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(up, nan, quiet), 16));
}
QUAMBA2_INLINE void store_bf16(uint16_t* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), round_bf16(a));
}
QUAMBA2_INLINE void store_bf16_n(uint16_t* p, F32 a, int n) { _mm256_mask_storeu_epi16(p, first(n), round_bf16(a)); }

// Arithmetic.
QUAMBA2_INLINE F32 zero() { return {_mm512_setzero_ps()}; }
QUAMBA2_INLINE F32 broadcast(float a) { return {_mm512_set1_ps(a)}; }
QUAMBA2_INLINE F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
QUAMBA2_INLINE F32 nfma(F32 a, F32 b, F32 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
QUAMBA2_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
QUAMBA2_INLINE F32 sqrt(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
QUAMBA2_INLINE F32 abs(F32 a) { return {_mm512_abs_ps(a.v)}; }
QUAMBA2_INLINE F32 rint(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
QUAMBA2_INLINE F32 if_less(F32 a, F32 b, F32 yes, F32 no) {
  return {_mm512_mask_mov_ps(no.v, _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), yes.v)};
}
QUAMBA2_INLINE F32 scale2(F32 a, F32 n) { return {_mm512_scalef_ps(a.v, n.v)}; }
QUAMBA2_INLINE I32 rint_i32(F32 a) { return i32(_mm512_cvtps_epi32(a.v)); }
QUAMBA2_INLINE F32 to_f32(I32 a) { return {_mm512_cvtepi32_ps(raw(a))}; }
QUAMBA2_INLINE I32 load(const int32_t* p) { return i32(_mm512_loadu_si512(p)); }
QUAMBA2_INLINE void store(int32_t* p, I32 a) { _mm512_storeu_si512(p, raw(a)); }

// Bits.
QUAMBA2_INLINE I32 broadcast(int32_t a) { return i32(_mm512_set1_epi32(a)); }
QUAMBA2_INLINE I32 add(I32 a, I32 b) { return i32(_mm512_add_epi32(raw(a), raw(b))); }
QUAMBA2_INLINE I32 bit_and(I32 a, I32 b) { return i32(_mm512_and_si512(raw(a), raw(b))); }
QUAMBA2_INLINE I32 bit_or(I32 a, I32 b) { return i32(_mm512_or_si512(raw(a), raw(b))); }
template <int kBits>
QUAMBA2_INLINE I32 shift_right(I32 a) {
  return i32(_mm512_srli_epi32(raw(a), kBits));
}
template <int kBits>
QUAMBA2_INLINE I32 shift_left(I32 a) {
  return i32(_mm512_slli_epi32(raw(a), kBits));
}
// A look-up: vpermps reads the low four bits of each lane only.
QUAMBA2_INLINE F32 nibble(I32 a) {
  return {_mm512_permutexvar_ps(raw(a), _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7))};
}
QUAMBA2_INLINE F32 merge_bits(I32 a, int32_t mask, float b) {
  const __m512i bits = _mm512_castps_si512(_mm512_set1_ps(b));
  return {_mm512_castsi512_ps(_mm512_ternarylogic_epi32(raw(a), _mm512_set1_epi32(mask), bits, 0xea))};
}

// Across lanes: halves are added first, always in the same order.
QUAMBA2_INLINE __m256 upper(__m512 a) { return _mm512_extractf32x8_ps(a, 1); }
QUAMBA2_INLINE float sum(F32 a) {
  const __m256 x = _mm256_add_ps(_mm512_castps512_ps256(a.v), upper(a.v));
  const __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 z = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
QUAMBA2_INLINE float max_of(F32 a) {
  const __m256 x = _mm256_max_ps(_mm512_castps512_ps256(a.v), upper(a.v));
  const __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 z = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
