// SPDX-License-Identifier: Apache-2.0
// Runs of 16 bytes on AVX-512 (what the words mean: lookup_scalar.inl.h). How bytes are held for dot products differs with
// VNNI: dot_hold and dot_held are of dot_i8_*.inl.h.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kRuns = 4;
using DotRun = DotWeights;

QUAMBA2_INLINE I32 load_runs(const int8_t* tables, const uint16_t* ids) {
  const auto run = [&](int r) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(tables + 16 * static_cast<size_t>(ids[r])));
  };
  const __m512i first = _mm512_inserti32x4(_mm512_castsi128_si512(run(0)), run(1), 1);
  return i32(_mm512_inserti32x4(_mm512_inserti32x4(first, run(2), 2), run(3), 3));
}
QUAMBA2_INLINE I32 look_up(I32 table, I32 index) { return i32(_mm512_shuffle_epi8(raw(table), raw(index))); }
QUAMBA2_INLINE void transpose_runs(I32 (&v)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(raw(v[0]), raw(v[1])), b = _mm512_unpackhi_epi32(raw(v[0]), raw(v[1]));
  const __m512i c = _mm512_unpacklo_epi32(raw(v[2]), raw(v[3])), d = _mm512_unpackhi_epi32(raw(v[2]), raw(v[3]));
  v[0] = i32(_mm512_unpacklo_epi64(a, c));
  v[1] = i32(_mm512_unpackhi_epi64(a, c));
  v[2] = i32(_mm512_unpacklo_epi64(b, d));
  v[3] = i32(_mm512_unpackhi_epi64(b, d));
}
QUAMBA2_INLINE __m512i repeat_run(const uint32_t* p) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
QUAMBA2_INLINE DotRun dot_run(const uint32_t* p) {
  if constexpr (kDotWords == 1)
    return dot_held(repeat_run(p), repeat_run(p));
  else
    return dot_held(repeat_run(p), repeat_run(p + 4));
}
QUAMBA2_INLINE DotRun dot_run_of(I32 v) { return dot_hold(raw(v)); }
QUAMBA2_INLINE I32 dot_runs(I32 sum, DotRun x, DotRun w) { return dot(sum, x, w); }

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
