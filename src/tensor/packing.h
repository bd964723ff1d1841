// SPDX-License-Identifier: Apache-2.0
// The canonical packing of integer weights: what files contain and what kernels re-lay from.
//
// A row of K codes of b bits (b = 4 or 6) is a stream of 32-bit little-endian words; code i occupies bits [i*b, (i+1)*b)
// of the stream and may straddle two words. The last word is padded with zeros. Codes are offset binary: code - 2^(b-1)
// is the signed value. This is the layout of compressed-tensors' pack-quantized format.
#pragma once

#include <cstdint>

namespace quamba2 {

constexpr int64_t packed_row_bytes(int64_t elements, int bits) { return (elements * bits + 31) / 32 * 4; }

inline void pack_code(uint8_t* row, int64_t i, int bits, uint32_t code) {
  const int64_t bit = i * bits;
  const int shift = static_cast<int>(bit & 7);
  const uint32_t mask = ((1u << bits) - 1u) << shift;
  const uint32_t value = code << shift;
  row[bit >> 3] = static_cast<uint8_t>((row[bit >> 3] & ~mask) | value);
  if (shift + bits > 8) row[(bit >> 3) + 1] = static_cast<uint8_t>((row[(bit >> 3) + 1] & ~(mask >> 8)) | (value >> 8));
}

inline uint32_t unpack_code(const uint8_t* row, int64_t i, int bits) {
  const int64_t bit = i * bits;
  const int shift = static_cast<int>(bit & 7);
  uint32_t value = row[bit >> 3];
  if (shift + bits > 8) value |= static_cast<uint32_t>(row[(bit >> 3) + 1]) << 8;
  return (value >> shift) & ((1u << bits) - 1u);
}

}  // namespace quamba2
