// SPDX-License-Identifier: Apache-2.0
// Runs of 16 bytes on AVX2 (what the words mean: lookup_scalar.inl.h).

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kRuns = 2;
using DotRun = DotWeights;

QUAMBA2_INLINE I32 load_runs(const int8_t* tables, const uint16_t* ids) {
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tables + 16 * static_cast<size_t>(ids[0])));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tables + 16 * static_cast<size_t>(ids[1])));
  return i32(_mm256_set_m128i(high, low));
}
QUAMBA2_INLINE I32 look_up(I32 table, I32 index) { return i32(_mm256_shuffle_epi8(raw(table), raw(index))); }
QUAMBA2_INLINE void transpose_runs(I32 (&v)[4]) {
  const __m256i a = _mm256_unpacklo_epi32(raw(v[0]), raw(v[1])), b = _mm256_unpackhi_epi32(raw(v[0]), raw(v[1]));
  const __m256i c = _mm256_unpacklo_epi32(raw(v[2]), raw(v[3])), d = _mm256_unpackhi_epi32(raw(v[2]), raw(v[3]));
  v[0] = i32(_mm256_unpacklo_epi64(a, c));
  v[1] = i32(_mm256_unpackhi_epi64(a, c));
  v[2] = i32(_mm256_unpacklo_epi64(b, d));
  v[3] = i32(_mm256_unpackhi_epi64(b, d));
}
QUAMBA2_INLINE __m256i repeat_run(const uint32_t* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
QUAMBA2_INLINE DotRun dot_run(const uint32_t* p) { return {repeat_run(p), repeat_run(p + 4)}; }
QUAMBA2_INLINE DotRun dot_run_of(I32 v) {
  const __m256i w = raw(v);
  return {_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}
QUAMBA2_INLINE I32 dot_runs(I32 sum, DotRun x, DotRun w) { return dot(sum, x, w); }

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
