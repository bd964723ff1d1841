// SPDX-License-Identifier: Apache-2.0
// Loops that reach what the machine can do: reading, fused multiply-adds and i8 dot products. All sums are in registers.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kPeakSums = kRegisters == 32 ? 24 : 12;

inline float peak_read(const void* data, int64_t bytes) {
  const int32_t* p = static_cast<const int32_t*>(data);
  I32 sums[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sums[i] = broadcast(static_cast<int32_t>(0));
  for (int64_t k = 0; k + 8 * kLanes <= bytes / 4; k += 8 * kLanes) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) sums[i] = bit_or(sums[i], load(p + k + i * kLanes));
  }
  I32 all = sums[0];
#pragma GCC unroll 8
  for (int i = 1; i < 8; ++i) all = bit_or(all, sums[i]);
  return sum(to_f32(all));
}

inline float peak_fma(int64_t rounds) {
  F32 sums[kPeakSums];
  const F32 a = broadcast(0.999f), b = broadcast(0.5f);
#pragma GCC unroll 32
  for (int i = 0; i < kPeakSums; ++i) sums[i] = broadcast(static_cast<float>(i));
  for (int64_t k = 0; k < rounds; ++k) {
#pragma GCC unroll 32
    for (int i = 0; i < kPeakSums; ++i) sums[i] = fma(sums[i], a, b);
  }
#pragma GCC unroll 32
  for (int i = 1; i < kPeakSums; ++i) sums[0] = add(sums[0], sums[i]);
  return sum(sums[0]);
}

// What most of a tile's products are computed with.
template <class Weights>
QUAMBA2_INLINE I32 peak_dot_step(I32 sum, DotInput x, Weights w) {
  if constexpr (kDotPairs)
    return dot_pair(sum, w, w);
  else
    return dot(sum, x, w);
}

constexpr int kPeakDotSums = kDotRows * 2;
template <class T = Tiles>
float peak_dot(int64_t rounds) {
  if constexpr (T::kHere) return T::peak(rounds);
  I32 sums[kPeakDotSums];
  int8_t bytes[4 * kLanes];
  for (int i = 0; i < 4 * kLanes; ++i) bytes[i] = static_cast<int8_t>(i);
  const DotWeights w = dot_weights(bytes);
  uint32_t words[2] = {};
  dot_pack(0x01020304u, words);
  DotInput x = dot_input(words);
#pragma GCC unroll 32
  for (int i = 0; i < kPeakDotSums; ++i) sums[i] = broadcast(static_cast<int32_t>(i));
  for (int64_t k = 0; k < rounds; ++k) {
    asm volatile("" : : "r"(k));  // the products do not depend on k: keep them inside of the loop
#pragma GCC unroll 32
    for (int i = 0; i < kPeakDotSums; ++i) sums[i] = peak_dot_step(sums[i], x, w);
  }
#pragma GCC unroll 32
  for (int i = 1; i < kPeakDotSums; ++i) sums[0] = bit_or(sums[0], sums[i]);
  return sum(to_f32(sums[0]));
}

// Operations of a round.
template <class T = Tiles>
constexpr int64_t peak_dot_operations() {
  if constexpr (T::kHere) return T::kPeakOperations;
  return (kDotPairs ? 16 : 8) * kPeakDotSums * kLanes;
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA

namespace quamba2 {

extern constinit const CpuPeakLoops QUAMBA2_ISA_PEAKS = {
    QUAMBA2_ISA_NAME,      QUAMBA2_ISA::peak_read,
    QUAMBA2_ISA::peak_fma, 2 * QUAMBA2_ISA::kPeakSums* QUAMBA2_ISA::kLanes,
    QUAMBA2_ISA::peak_dot, QUAMBA2_ISA::peak_dot_operations(),
};

}  // namespace quamba2
