// SPDX-License-Identifier: Apache-2.0
// Numbers that order logits.
#pragma once

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

}  // namespace quamba2::cuda
