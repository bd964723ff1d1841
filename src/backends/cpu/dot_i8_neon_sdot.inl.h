// SPDX-License-Identifier: Apache-2.0
// SDOT's dot products of four i8 a lane, for the levels neon_dotprod and neon_i8mm: signed by signed, so activations need
// no offset. Activations are an element of a register, which saves repeating them over its lanes.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotWords = 1;  // 32-bit words that four activations are packed to
constexpr int kDotOffset = 0;
constexpr bool kDotIsOne = true;  // whether dot_codes is one instruction

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

using DotRun = DotWeights;
QUAMBA2_INLINE DotRun dot_run(const uint32_t* p) { return {vreinterpretq_s8_u32(vld1q_u32(p))}; }
QUAMBA2_INLINE I32 dot_runs(I32 sum, DotRun x, DotRun w) { return {vdotq_s32(sum.v, x.v, w.v)}; }
QUAMBA2_INLINE I32 dot_codes(I32 sum, I32 codes, I32 x) {
  return {vdotq_s32(sum.v, vreinterpretq_s8_s32(codes.v), vreinterpretq_s8_s32(x.v))};
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
