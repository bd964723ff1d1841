// SPDX-License-Identifier: Apache-2.0
// Dot products of four i8 a lane with SDOT (Armv8.2 with the dot product extension): signed by signed, so activations
// need no offset. Activations are an element of a register, which saves repeating them over its lanes.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotRows = 14;  // rows of a tile: 28 sums, 2 vectors of weights, 1 of activations
constexpr int kDotWords = 1;  // 32-bit words that four activations are packed to
constexpr int kDotOffset = 0;
constexpr bool kDotPairs = false;

struct DotWeights {
  int8x16_t v;
};
struct DotInput {
  int8x8_t v;  // four activations in the low half
};

QUAMBA2_INLINE void dot_pack(uint32_t four, uint32_t* words) { words[0] = four; }
QUAMBA2_INLINE DotWeights dot_weights(const int8_t* p) { return {vld1q_s8(p)}; }
QUAMBA2_INLINE DotInput dot_input(const uint32_t* p) {
  return {vreinterpret_s8_u32(vset_lane_u32(*p, vdup_n_u32(0), 0))};
}
QUAMBA2_INLINE I32 dot(I32 sum, DotInput x, DotWeights w) { return {vdotq_lane_s32(sum.v, w.v, x.v, 0)}; }

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
