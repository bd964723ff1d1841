// SPDX-License-Identifier: Apache-2.0
// Runs of 16 bytes on 64-bit Arm: a vector is one run (what the words mean: lookup_scalar.inl.h). DotRun, dot_run and
// dot_runs differ with the dot products that there are, and are of dot_i8_neon*.inl.h.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kRuns = 1;

QUAMBA2_INLINE I32 load_runs(const int8_t* tables, const uint16_t* ids) {
  return {vreinterpretq_s32_s8(vld1q_s8(tables + 16 * static_cast<size_t>(ids[0])))};
}
QUAMBA2_INLINE I32 look_up(I32 table, I32 index) {
  return {vreinterpretq_s32_s8(vqtbl1q_s8(vreinterpretq_s8_s32(table.v), vreinterpretq_u8_s32(index.v)))};
}
QUAMBA2_INLINE void transpose_runs(I32 (&v)[4]) {
  const int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(v[0].v, v[1].v));
  const int64x2_t b = vreinterpretq_s64_s32(vtrn2q_s32(v[0].v, v[1].v));
  const int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(v[2].v, v[3].v));
  const int64x2_t d = vreinterpretq_s64_s32(vtrn2q_s32(v[2].v, v[3].v));
  v[0].v = vreinterpretq_s32_s64(vtrn1q_s64(a, c));
  v[1].v = vreinterpretq_s32_s64(vtrn1q_s64(b, d));
  v[2].v = vreinterpretq_s32_s64(vtrn2q_s64(a, c));
  v[3].v = vreinterpretq_s32_s64(vtrn2q_s64(b, d));
}
QUAMBA2_INLINE DotRun dot_run_of(I32 v) { return {vreinterpretq_s8_s32(v.v)}; }

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
