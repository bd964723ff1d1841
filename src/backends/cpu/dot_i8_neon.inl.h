// SPDX-License-Identifier: Apache-2.0
// Dot products of four i8 a lane with Armv8.0: codes are widened to 16 bits, and products are added to the 32-bit sums
// one k at a time (SMLAL by element), so nothing on the way can overflow. SMULL and SADALP would take as many
// instructions and keep two partial sums a vector, and two products of -128 do not fit 16 bits.
//
//   bytes of a vector   c0: k0 k1 k2 k3 | c1: k0 .. k3 | c2 | c3     (lanes c are channels)
//   held as             k01: k0 of c0 .. c3, k1 of c0 .. c3          k23: the same of k2, k3

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotRows = 12;  // rows of a tile: 24 sums, 4 vectors of weights, 1 of activations, 1 of byte indices
constexpr int kDotWords = 1;  // 32-bit words that four activations are packed to
constexpr int kDotOffset = 0;
constexpr bool kDotIsOne = false;  // whether dot_codes is one instruction
constexpr bool kDotPairs = false;

struct DotWeights {
  int16x8_t k01, k23;
};
struct DotInput {
  int16x4_t v;
};

QUAMBA2_INLINE void dot_pack(uint32_t four, uint32_t* words) { words[0] = four; }
alignas(16) constexpr uint8_t kByK[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
QUAMBA2_INLINE DotWeights dot_weights(const int8_t* p) {
  const int8x16_t by_k = vqtbl1q_s8(vld1q_s8(p), vld1q_u8(kByK));
  return {vmovl_s8(vget_low_s8(by_k)), vmovl_high_s8(by_k)};
}
QUAMBA2_INLINE DotInput dot_input(const uint32_t* p) {
  return {vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vset_lane_u32(*p, vdup_n_u32(0), 0))))};
}
QUAMBA2_INLINE I32 dot(I32 sum, DotInput x, DotWeights w) {
  int32x4_t s = vmlal_lane_s16(sum.v, vget_low_s16(w.k01), x.v, 0);
  s = vmlal_high_lane_s16(s, w.k01, x.v, 1);
  s = vmlal_lane_s16(s, vget_low_s16(w.k23), x.v, 2);
  return {vmlal_high_lane_s16(s, w.k23, x.v, 3)};
}

// Runs are summed pair by pair: single products fit 16 bits.
struct DotRun {
  int8x16_t v;
};
QUAMBA2_INLINE DotRun dot_run(const uint32_t* p) { return {vreinterpretq_s8_u32(vld1q_u32(p))}; }
QUAMBA2_INLINE I32 dot_runs(I32 sum, DotRun x, DotRun w) {
  const int32x4_t s = vpadalq_s16(sum.v, vmull_s8(vget_low_s8(x.v), vget_low_s8(w.v)));
  return {vpadalq_s16(s, vmull_high_s8(x.v, w.v))};
}
QUAMBA2_INLINE I32 dot_codes(I32 sum, I32 codes, I32 x) {
  const int8x16_t c = vreinterpretq_s8_s32(codes.v), b = vreinterpretq_s8_s32(x.v);
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(c), vget_low_s8(b)));
  return {vaddq_s32(sum.v, vpaddq_s32(low, vpaddlq_s16(vmull_high_s8(c, b))))};
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
