// SPDX-License-Identifier: Apache-2.0
// Dot products of four i8 a lane, in portable C++.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotRows = 4;   // rows of a tile
constexpr int kDotWords = 1;  // 32-bit words that four activations are packed to
constexpr int kDotOffset = 0;
constexpr bool kDotIsOne = false;  // whether dot_codes is one instruction
constexpr bool kDotPairs = false;  // whether dot_pair_steps multiplies two rows at once

struct DotWeights {
  int8_t v[4 * kLanes];
};
struct DotInput {
  int8_t v[4];
};

QUAMBA2_INLINE void dot_pack(uint32_t four, uint32_t* words) { words[0] = four; }
QUAMBA2_INLINE DotWeights dot_weights(const int8_t* p) {
  DotWeights w;
  __builtin_memcpy(w.v, p, sizeof w.v);
  return w;
}
QUAMBA2_INLINE DotInput dot_input(const uint32_t* p) {
  DotInput x;
  __builtin_memcpy(x.v, p, sizeof x.v);
  return x;
}
QUAMBA2_INLINE I32 dot(I32 sum, DotInput x, DotWeights w) {
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < 4; ++j) sum.v[i] += x.v[j] * w.v[4 * i + j];
  }
  return sum;
}
// dot_codes: unsigned codes below 64 times signed bytes, four a lane.
QUAMBA2_INLINE I32 dot_codes(I32 sum, I32 codes, I32 x) {
  uint8_t c[4 * kLanes];
  int8_t b[4 * kLanes];
  __builtin_memcpy(c, codes.v, sizeof c);
  __builtin_memcpy(b, x.v, sizeof b);
  for (int i = 0; i < 4 * kLanes; ++i) sum.v[i / 4] += c[i] * b[i];
  return sum;
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
