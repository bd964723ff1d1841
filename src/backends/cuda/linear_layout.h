// SPDX-License-Identifier: Apache-2.0
// How `linear` keeps weights on a GPU: in the order in which lanes hold fragments of the tensor cores' left operand, so that
// a lane reads 16 bytes and has what it multiplies. Pure index maths, the same for the host, which re-lays, and the device.
//
//   weight [N, K] -> bands of 16 rows -> tiles of tile_k columns -> 32 lanes of 16 bytes (and 8 more: two bits of i6)
//
//   codes         [bands][k_tiles][tile_bytes]
//   group scales  [bands][groups][8] pairs of f16: rows g and g + 8 of the band
//   row scales    [bands * 16] f32
#pragma once

#include <cstddef>
#include <cstdint>

namespace quamba2::cuda {

// What is stored and what multiplies it. S8: activations are codes of 8 bits. F16: they are floats.
enum class WeightKind : uint8_t {
  kI8,       // codes
  kI4Ratio,  // two levels: codes, and s_g / s_c as an f16 that rounds to the same INT8 (linear_prepare.cc)
  kI4,       // one level of groups
  kI6,       //
  kI4Float,  // the same under float activations
  kI6Float,  //
  kI8Float,  //
  kF16,      //
  kBF16,     //
};

constexpr bool multiplies_codes(WeightKind k) { return k <= WeightKind::kI6; }
constexpr bool has_groups(WeightKind k) {
  return k == WeightKind::kI4Ratio || k == WeightKind::kI4 || k == WeightKind::kI6 || k == WeightKind::kI4Float ||
         k == WeightKind::kI6Float;
}
constexpr bool has_row_scales(WeightKind k) {
  return k == WeightKind::kI8 || k == WeightKind::kI4Ratio || k == WeightKind::kI8Float;
}
constexpr bool is_six(WeightKind k) { return k == WeightKind::kI6 || k == WeightKind::kI6Float; }
constexpr bool is_four(WeightKind k) {
  return k == WeightKind::kI4Ratio || k == WeightKind::kI4 || k == WeightKind::kI4Float;
}
constexpr int tile_columns(WeightKind k) {
  return is_four(k) || is_six(k) ? 64 : k == WeightKind::kI8 || k == WeightKind::kI8Float ? 32 : 16;
}
constexpr int tile_bytes(WeightKind k) { return is_six(k) ? 768 : 512; }

constexpr int kBandRows = 16;

struct LinearLayout {
  WeightKind kind = WeightKind::kI8;
  int32_t outputs = 0, inner = 0, bands = 0, k_tiles = 0, groups = 0,
          group_shift = 31;  // a group has 1 << group_shift tiles
  int64_t group_offset = 0, row_offset = 0, bytes = 0;
};

constexpr int64_t round_up_to(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

// `group`: elements a scale along K, ignored where the kind has no groups.
constexpr LinearLayout linear_layout(WeightKind kind, int32_t outputs, int32_t inner, int32_t group) {
  LinearLayout l;
  l.kind = kind, l.outputs = outputs, l.inner = inner;
  l.bands = (outputs + kBandRows - 1) / kBandRows;
  l.k_tiles = (inner + tile_columns(kind) - 1) / tile_columns(kind);
  l.groups = has_groups(kind) ? (inner + group - 1) / group : 0;
  if (l.groups > 1) l.group_shift = 9;  // groups have at most 2^15 elements
  while (l.groups > 1 && (tile_columns(kind) << l.group_shift) > group) --l.group_shift;
  l.group_offset = static_cast<int64_t>(l.bands) * l.k_tiles * tile_bytes(kind);
  l.row_offset = l.group_offset + round_up_to(static_cast<int64_t>(l.bands) * l.groups * 32, 256);
  l.bytes = l.row_offset + (has_row_scales(kind) ? static_cast<int64_t>(l.bands) * kBandRows * 4 : 0);
  l.bytes = round_up_to(l.bytes, 256) + 2048;  // blocks of many tokens read past the last tile
  return l;
}

// Where one number of a tile lies: bits [bit, bit + bits) of word `word` of a lane; i6 has two more bits in the lane's words
// 4 and 5, which are stored behind those of all lanes.
struct Slot {
  int lane = 0, word = 0, bit = 0, high_word = 0, high_bit = 0;
};

// Row 0 .. 15 of a band, column 0 .. tile_columns - 1 of a tile. Lane 4 g + q holds rows g and g + 8.
constexpr Slot slot_of(WeightKind kind, int row, int column) {
  const int g = row % 8, half = row / 8;
  Slot s;
  if (kind == WeightKind::kI8) {  // registers a0 .. a3: (g, low), (g + 8, low), (g, high), (g + 8, high)
    const int i = column % 8;
    return {4 * g + column / 8, i / 4 * 2 + half, i % 4 * 8, 0, 0};
  }
  if (multiplies_codes(kind)) {  // 16 neighbours a lane, 8 a step
    const int step = column % 16 / 8, i = column % 8;
    s.lane = 4 * g + column / 16;
    s.word = 2 * step + half;
    constexpr int kRatioNibble[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    s.bit = 4 * (kind == WeightKind::kI4Ratio ? kRatioNibble[i] : i % 4 * 2 + i / 4);
    s.high_word = 4 + step;
    s.high_bit = i % 4 * 8 + 2 * (2 * half + i / 4);
    return s;
  }
  const int step = column / 16, i = column % 4;  // 4 neighbours a lane and step: a0 and a1 the first two, a2 and a3
  const int reg = i / 2 * 2 + half;
  s.lane = 4 * g + column % 16 / 4;
  if (is_four(kind) || is_six(kind)) {
    s.word = step;
    s.bit = 4 * (reg + 4 * (i % 2));
    s.high_word = 4 + step / 2;
    s.high_bit = 16 * (i % 2) + 2 * (4 * (step % 2) + reg);
  } else if (kind == WeightKind::kI8Float) {
    s.word = 2 * step + half;
    s.bit = 8 * i;
  } else {
    s.word = reg;
    s.bit = 16 * (i % 2);
  }
  return s;
}

// The byte of a tile at which word `word` of a lane lies.
constexpr int word_offset(int lane, int word) {
  return word < 4 ? lane * 16 + word * 4 : 512 + lane * 8 + (word - 4) * 4;
}

// Activations under the tensor cores' right operand: where column k of a token stands in its row of shared memory, in bytes.
// Codes lie as they are; floats as two 16-bit parts, four of the high parts, then four of the low ones.
constexpr int split_offset(int k) { return k / 4 * 16 + k % 4 * 2; }

// For many tokens, activations are re-laid as [k_blocks][tokens, rounded up to 256][128 bytes]: codes, or f16 or bf16. Inside a
// token's 128 bytes numbers stand where the tensor cores multiply them with the weight's fragments; 16-byte piece c of token
// t lies at piece c ^ t % 8.
constexpr int kManyTokens = 256;
constexpr int block_columns(WeightKind k) { return multiplies_codes(k) ? 128 : 64; }
constexpr int64_t many_block_count(WeightKind k, int32_t inner) {
  return (inner + block_columns(k) - 1) / block_columns(k);
}

// The first column of K, in a block, of the four codes or two floats at words 4 c + q of a token's 128 bytes, c the piece.
constexpr int word_column(WeightKind k, int piece, int q) {
  if (!multiplies_codes(k)) return piece / 2 * 16 + 4 * q + piece % 2 * 2;
  if (k == WeightKind::kI8) return piece / 2 * 32 + 8 * q + piece % 2 * 4;
  return piece / 4 * 64 + 16 * q + piece % 4 / 2 * 8 + piece % 2 * 4;
}

}  // namespace quamba2::cuda
