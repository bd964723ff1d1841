// SPDX-License-Identifier: Apache-2.0
// Numbers that order logits, and weights of tokens as whole numbers: their sums do not depend on their order.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "backends/cuda/device/host_device.h"

namespace quamba2::cuda {

// Grows with the logit; equal for both zeros; kNanKey, above all others, for what is not a number.
constexpr uint32_t kNanKey = 0xffffffffu, kMinusInfinityKey = 0x007fffffu;

QUAMBA2_HOST_DEVICE inline uint32_t logit_key(float logit) {
  if (logit != logit) return kNanKey;
  logit += 0.0f;
  uint32_t bits;
  memcpy(&bits, &logit, 4);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The largest of these is of the largest logit, and of the lowest id among equals. Nothing has 0.
QUAMBA2_HOST_DEVICE inline uint64_t ranked(float logit, int32_t id) {
  return static_cast<uint64_t>(logit_key(logit)) << 32 | ~static_cast<uint32_t>(id);
}
QUAMBA2_HOST_DEVICE inline uint32_t key_of_ranked(uint64_t r) { return static_cast<uint32_t>(r >> 32); }
QUAMBA2_HOST_DEVICE inline int32_t id_of_ranked(uint64_t r) { return static_cast<int32_t>(~static_cast<uint32_t>(r)); }

// Of a key that is no NaN's.
QUAMBA2_HOST_DEVICE inline float logit_of_key(uint32_t key) {
  const uint32_t bits = (key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key;
  float logit;
  memcpy(&logit, &bits, 4);
  return logit;
}

// A token's weight over that of the likeliest.
QUAMBA2_HOST_DEVICE inline double token_weight(float logit, float largest, double temperature) {
  return logit == largest ? 1 : exp((static_cast<double>(logit) - largest) / temperature);
}

// Weights count in units of 2^-unit_bits of the likeliest's, rounded to the nearest: those of a whole vocabulary fit into 63 bits.
QUAMBA2_HOST_DEVICE constexpr int unit_bits(int32_t vocabulary) {
  int bits = 62;
  while (bits > 31 && (int64_t{1} << (63 - bits)) < 2 * static_cast<int64_t>(vocabulary)) --bits;
  return bits;
}
QUAMBA2_HOST_DEVICE inline uint64_t weight_units(double weight, int bits) {
  return static_cast<uint64_t>(weight * static_cast<double>(uint64_t{1} << bits) + 0.5);
}

// Bins of logits, the largest first, 64 of them a unit; what is further away than they reach is in the last.
constexpr int kLogitBins = 2048;
QUAMBA2_HOST_DEVICE inline int logit_bin(float logit, float largest) {
  if (logit == largest) return 0;
  const float distance = (largest - logit) * 64;
  return distance < kLogitBins - 1 ? static_cast<int>(distance) : kLogitBins - 1;
}

}  // namespace quamba2::cuda
