// SPDX-License-Identifier: Apache-2.0
// Dot products of four i8 a lane through 16-bit pairs (vpmaddwd): exact, where vpmaddubsw would saturate.
//   weights of a lane  b3 b2 b1 b0  ->  even: (b2, b0)  odd: (b3, b1); activations are packed the same way.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotRows = 4;   // rows of a tile: 8 sums, 4 vectors of weights, 2 of activations
constexpr int kDotWords = 2;  // 32-bit words that four activations are packed to
constexpr int kDotOffset = 0;
constexpr bool kDotIsOne = false;  // whether dot_codes is one instruction
constexpr bool kDotPairs = false;

struct DotWeights {
  __m256i even, odd;
};
using DotInput = DotWeights;

QUAMBA2_INLINE uint32_t dot_pair(uint32_t low, uint32_t high) {
  return (static_cast<uint32_t>(static_cast<int8_t>(low)) & 0xffffu) |
         (static_cast<uint32_t>(static_cast<int8_t>(high)) << 16);
}
QUAMBA2_INLINE void dot_pack(uint32_t four, uint32_t* words) {
  words[0] = dot_pair(four, four >> 16);
  words[1] = dot_pair(four >> 8, four >> 24);
}
QUAMBA2_INLINE DotWeights dot_weights(const int8_t* p) {
  const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}
QUAMBA2_INLINE DotInput dot_input(const uint32_t* p) {
  return {_mm256_set1_epi32(static_cast<int>(p[0])), _mm256_set1_epi32(static_cast<int>(p[1]))};
}
QUAMBA2_INLINE I32 dot(I32 sum, DotInput x, DotWeights w) {
  const __m256i even = _mm256_madd_epi16(x.even, w.even), odd = _mm256_madd_epi16(x.odd, w.odd);
  return i32(_mm256_add_epi32(raw(sum), _mm256_add_epi32(even, odd)));
}
// Codes below 64: pairs of products stay within 16 bits.
QUAMBA2_INLINE I32 dot_codes(I32 sum, I32 codes, I32 x) {
  const __m256i pairs = _mm256_maddubs_epi16(raw(codes), raw(x));
  return i32(_mm256_add_epi32(raw(sum), _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
