// SPDX-License-Identifier: Apache-2.0
// Dot products of four i8 a lane with vpdpbusd, which wants unsigned by signed: activations are stored plus 128, and sums
// start at -128 * (sum of the channel's weights). Sums wrap modulo 2^32 on the way and are exact at the end.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotRows = 14;      // rows of a tile: 28 sums, 2 vectors of weights, 1 of activations
constexpr int kDotWords = 1;      // 32-bit words that four activations are packed to
constexpr int kDotOffset = 128;   // added to activations
constexpr bool kDotIsOne = true;  // whether dot_codes is one instruction
constexpr bool kDotPairs = false;

struct DotWeights {
  __m512i v;
};
using DotInput = DotWeights;

QUAMBA2_INLINE void dot_pack(uint32_t four, uint32_t* words) { words[0] = four ^ 0x80808080u; }
QUAMBA2_INLINE DotWeights dot_hold(__m512i bytes) { return {bytes}; }
QUAMBA2_INLINE DotWeights dot_held(__m512i words, __m512i) { return {words}; }
QUAMBA2_INLINE DotWeights dot_weights(const int8_t* p) { return dot_hold(_mm512_loadu_si512(p)); }
QUAMBA2_INLINE DotInput dot_input(const uint32_t* p) { return {_mm512_set1_epi32(static_cast<int>(p[0]))}; }
QUAMBA2_INLINE I32 dot(I32 sum, DotInput x, DotWeights w) { return i32(_mm512_dpbusd_epi32(raw(sum), x.v, w.v)); }
// Codes are the unsigned operand: activations need no offset.
QUAMBA2_INLINE I32 dot_codes(I32 sum, I32 codes, I32 x) {
  return i32(_mm512_dpbusd_epi32(raw(sum), raw(codes), raw(x)));
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
