// SPDX-License-Identifier: Apache-2.0
// Conversions between floating-point types, round to nearest even, without hardware support.
#pragma once

#include <cstdint>
#include <cstring>

namespace quamba2 {

inline float bf16_to_f32(uint16_t v) {
  const uint32_t bits = static_cast<uint32_t>(v) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

inline uint16_t f32_to_bf16(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);  // NaN stays NaN
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// The smallest bf16 that is at least `v`, for finite v >= 0.
inline float bf16_at_least(float v) {
  const uint16_t near = f32_to_bf16(v);
  return bf16_to_f32(near) >= v ? bf16_to_f32(near) : bf16_to_f32(static_cast<uint16_t>(near + 1));
}

float f16_to_f32(uint16_t v);
uint16_t f32_to_f16(float v);  // overflow gives infinity

}  // namespace quamba2
