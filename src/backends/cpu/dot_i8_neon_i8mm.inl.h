// SPDX-License-Identifier: Apache-2.0
// Dot products of i8 with SMMLA (the I8MM extension), which multiplies two rows of eight codes by two channels of eight.
// A single row, and an odd last one, take SDOT. Weights and activations lie as SDOT wants them, four codes a step; two
// steps (s, and s' after it) are interleaved when they are loaded:
//
//    weights of four channels           c0 c1 c2 c3, c0' c1' c2' c3'  ->  c0 c0' c1 c1', c2 c2' c3 c3'
//    activations of two rows            r0 r1, r0' r1'                ->  r0 r0' r1 r1'
//    sums, two by two                   r0.c0 r0.c1 r1.c0 r1.c1, and the same with c2, c3
#include "backends/cpu/dot_i8_neon_sdot.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotRows = 12;  // rows of a tile: 24 sums, 4 vectors of weights, 2 of activations
constexpr bool kDotPairs = true;

// Two rows by two channels.
QUAMBA2_INLINE I32 dot_pair(I32 sum, DotWeights x, DotWeights w) { return {vmmlaq_s32(sum.v, x.v, w.v)}; }

QUAMBA2_INLINE DotWeights dot_zip_low(DotWeights a, DotWeights b) {
  return {vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a.v), vreinterpretq_s32_s8(b.v)))};
}
QUAMBA2_INLINE DotWeights dot_zip_high(DotWeights a, DotWeights b) {
  return {vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a.v), vreinterpretq_s32_s8(b.v)))};
}
// Two rows of four channels to two by two and back: the same exchange.
QUAMBA2_INLINE void dot_exchange(I32* a, I32* b) {
  const int64x2_t x = vreinterpretq_s64_s32(a->v), y = vreinterpretq_s64_s32(b->v);
  a->v = vreinterpretq_s32_s64(vzip1q_s64(x, y));
  b->v = vreinterpretq_s32_s64(vzip2q_s64(x, y));
}
// Codes of rows r and r + 1 in two steps, `words` apart.
QUAMBA2_INLINE DotWeights dot_input_pair(const uint32_t* p, int words) {
  const uint32x2_t none = vdup_n_u32(0);
  const uint32x4_t first = vcombine_u32(vld1_u32(p), none), second = vcombine_u32(vld1_u32(p + words), none);
  return {vreinterpretq_s8_u32(vzip1q_u32(first, second))};
}

// sum[r][v] += products of `steps` steps of one panel.
template <int kRows>
QUAMBA2_INLINE void dot_pair_steps(I32 (&sum)[kRows][2], int64_t steps, const uint32_t* a, const int8_t* codes) {
  constexpr int64_t kStepBytes = 8 * kLanes;
#pragma GCC unroll 16
  for (int r = 0; r + 1 < kRows; r += 2) {
    dot_exchange(&sum[r][0], &sum[r + 1][0]);
    dot_exchange(&sum[r][1], &sum[r + 1][1]);
  }
  for (int64_t s = 0; s + 1 < steps; s += 2, a += 2 * kRows, codes += 2 * kStepBytes) {
    DotWeights w[2][2], low[2], high[2];  // [vector][step]
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      w[v][0] = dot_weights(codes + v * 4 * kLanes);
      w[v][1] = dot_weights(codes + kStepBytes + v * 4 * kLanes);
      low[v] = dot_zip_low(w[v][0], w[v][1]);
      high[v] = dot_zip_high(w[v][0], w[v][1]);
    }
#pragma GCC unroll 16
    for (int r = 0; r + 1 < kRows; r += 2) {
      const DotWeights x = dot_input_pair(a + r, kRows);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        sum[r][v] = dot_pair(sum[r][v], x, low[v]);
        sum[r + 1][v] = dot_pair(sum[r + 1][v], x, high[v]);
      }
    }
    if constexpr (kRows % 2 == 1) {
      const DotInput x0 = dot_input(a + kRows - 1), x1 = dot_input(a + 2 * kRows - 1);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) sum[kRows - 1][v] = dot(dot(sum[kRows - 1][v], x0, w[v][0]), x1, w[v][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r + 1 < kRows; r += 2) {
    dot_exchange(&sum[r][0], &sum[r + 1][0]);
    dot_exchange(&sum[r][1], &sum[r + 1][1]);
  }
  dot_steps(sum, steps % 2, a, codes, 0);
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
