// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/linear_prepare.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/convert.h"
#include "tensor/operand.h"
#include "tensor/packing.h"

namespace quamba2::cuda {
namespace {

DType storage_of(WeightKind kind) {
  if (kind == WeightKind::kF16) return DType::kF16;
  if (kind == WeightKind::kBF16) return DType::kBF16;
  return is_four(kind) ? DType::kI4 : is_six(kind) ? DType::kI6 : DType::kI8;
}

int32_t group_of(const Operand& w) {
  return w.format.levels > 0 && w.format.level[0].grain == Grain::kGroup ? std::max<int32_t>(w.format.level[0].group, 1)
                                                                         : std::max(w.values.dim[1], 1);
}

// Bits that stand for the number at (row, k), as the kernels of this kind expect them.
uint32_t stored_bits(const Operand& w, WeightKind kind, const uint8_t* row, int32_t k) {
  switch (kind) {
    case WeightKind::kI8: return row[k];
    case WeightKind::kI8Float: return row[k] ^ 0x80u;
    case WeightKind::kI4Ratio:
    case WeightKind::kI4Float: return unpack_code(row, k, 4);
    case WeightKind::kI4: return unpack_code(row, k, 4) ^ 8u;
    case WeightKind::kI6Float: return unpack_code(row, k, 6);
    case WeightKind::kI6: return unpack_code(row, k, 6) ^ 32u;
    default: break;
  }
  uint16_t bits;
  std::memcpy(&bits, static_cast<const uint8_t*>(row) + int64_t{k} * 2, 2);
  (void)w;
  return bits;
}

// What stands for zero beyond the matrix.
uint32_t zero_bits(WeightKind kind) {
  switch (kind) {
    case WeightKind::kI4Ratio:
    case WeightKind::kI4Float: return 8;
    case WeightKind::kI6Float: return 32;
    case WeightKind::kI8Float: return 128;
    default: return 0;
  }
}

void or_word(char* at, uint32_t bits) {
  uint32_t word;
  std::memcpy(&word, at, 4);
  word |= bits;
  std::memcpy(at, &word, 4);
}
uint32_t word_at(const char* at) {
  uint32_t word;
  std::memcpy(&word, at, 4);
  return word;
}

void put_bits(char* tile, WeightKind kind, const Slot& s, uint32_t bits) {
  if (!is_six(kind)) return or_word(tile + word_offset(s.lane, s.word), bits << s.bit);
  or_word(tile + word_offset(s.lane, s.word), (bits & 15u) << s.bit);
  or_word(tile + word_offset(s.lane, s.high_word), (bits >> 4) << s.high_bit);
}
uint32_t get_bits(const char* tile, WeightKind kind, const Slot& s) {
  const uint32_t word = word_at(tile + word_offset(s.lane, s.word)) >> s.bit;
  const int bits = bits_of(storage_of(kind));
  if (!is_six(kind)) return word & ((1u << bits) - 1u);
  return (word & 15u) | ((word_at(tile + word_offset(s.lane, s.high_word)) >> s.high_bit) & 3u) << 4;
}

float scale_value(const TensorView& s, int64_t index) {
  return static_cast<float>(load_element(s.data, s.dtype, index));
}
// The row's own scale: of the outer level, or of the only one.
float row_scale(const Operand& w, int32_t row) {
  const int last = w.format.levels == 2 ? 1 : 0;
  return scale_value(w.scales[last], w.format.level[last].grain == Grain::kTensor ? 0 : row);
}
uint16_t group_scale(const Operand& w, WeightKind kind, int32_t row, int32_t group) {
  const float scale = scale_value(w.scales[0], int64_t{row} * w.scales[0].stride[0] + group);
  return kind == WeightKind::kI4Ratio ? ratio_of(scale, row_scale(w, row)) : f32_to_f16(scale);
}

void prepare_band(const Operand& w, const LinearLayout& l, int32_t band, char* to) {
  const int columns = tile_columns(l.kind), size = tile_bytes(l.kind);
  const uint32_t nothing = zero_bits(l.kind);
  for (int r = 0; r < kBandRows; ++r) {
    const int32_t n = band * kBandRows + r;
    const uint8_t* row = n < l.outputs ? static_cast<const uint8_t*>(row_address(w.values, n)) : nullptr;
    for (int32_t k = 0; k < l.k_tiles * columns; ++k) {
      const uint32_t bits = row != nullptr && k < l.inner ? stored_bits(w, l.kind, row, k) : nothing;
      char* tile = to + (static_cast<int64_t>(band) * l.k_tiles + k / columns) * size;
      put_bits(tile, l.kind, slot_of(l.kind, r, k % columns), bits);
    }
    if (row == nullptr) continue;
    for (int32_t g = 0; g < l.groups; ++g) {
      const uint16_t scale = group_scale(w, l.kind, n, g);
      const int64_t at = ((static_cast<int64_t>(band) * l.groups + g) * 8 + r % 8) * 4 + r / 8 * 2;
      std::memcpy(to + l.group_offset + at, &scale, 2);
    }
    if (has_row_scales(l.kind)) {
      const float scale = row_scale(w, n);
      std::memcpy(to + l.row_offset + int64_t{n} * 4, &scale, 4);
    }
  }
}

struct Task {
  const LinearArgs* args;
  LinearLayout layout;
  char* to;
  int threads;
};

const char* refuse_scales(const Operand& w, WeightKind kind) {
  const Format& f = w.format;
  const int levels = kind == WeightKind::kI4Ratio ? 2 : is_float(f.storage) ? 0 : 1;
  if (f.levels != levels) return "needs another number of scale levels";
  if (has_groups(kind)) {
    if (f.level[0].grain != Grain::kGroup || f.level[0].dtype != DType::kF16) return "needs f16 scales of groups";
    const int32_t group = f.level[0].group;
    const bool fits = group % tile_columns(kind) == 0 && (group & (group - 1)) == 0;
    if (group < w.values.dim[1] && !fits) return "needs groups of 64, 128 or another power of two";
  }
  if (has_row_scales(kind)) {
    const ScaleLevel& level = f.level[levels - 1];
    if (level.grain != Grain::kRow && level.grain != Grain::kTensor) return "needs a scale a row";
    if (!is_float(level.dtype)) return "needs float scales";
  }
  return nullptr;
}

}  // namespace

const char* refuse_kind(const LinearArgs& args, WeightKind kind) {
  const Operand &w = args.weight, &x = args.x;
  if (w.values.rank != 2 || w.values.stride[1] != 1) return "needs a weight matrix with contiguous rows";
  if (w.format.storage != storage_of(kind)) return "needs another weight type";
  if (const char* reason = refuse_scales(w, kind)) return reason;
  if (args.bias.data != nullptr && args.bias.dtype != DType::kF32) return "needs an f32 bias";
  if (!multiplies_codes(kind)) return nullptr;
  if (x.format.storage != DType::kI8 || x.format.levels != 1) return "needs i8 activations";
  if (x.format.level[0].grain != Grain::kTensor && !is_dynamic_row(x.format)) return "needs a scale a tensor or row";
  return nullptr;
}

LinearLayout layout_of(const LinearArgs& args, WeightKind kind) {
  return linear_layout(kind, args.weight.values.dim[0], args.weight.values.dim[1], group_of(args.weight));
}

void prepare_linear(const LinearArgs& args, WeightKind kind, void* destination, const Stream& stream) {
  Task task = {&args, layout_of(args, kind), static_cast<char*>(destination), std::max(stream.threads, 1)};
  const auto run = [](void* context, int index) {
    const Task& t = *static_cast<const Task*>(context);
    const int64_t bands = t.layout.bands;
    for (int64_t b = bands * index / t.threads; b < bands * (index + 1) / t.threads; ++b) {
      prepare_band(t.args->weight, t.layout, static_cast<int32_t>(b), t.to);
    }
  };
  if (stream.parallel != nullptr && task.threads > 1) return stream.parallel(stream.pool, run, &task);
  task.threads = 1;
  run(&task, 0);
}

void read_linear_row(const Operand& weight, WeightKind kind, const void* prepared, int32_t row, float* out) {
  LinearArgs args;
  args.weight = weight;
  const LinearLayout l = layout_of(args, kind);
  const char* from = static_cast<const char*>(prepared);
  const int32_t band = row / kBandRows, r = row % kBandRows;
  const int columns = tile_columns(kind);
  float scale = 1;
  if (has_row_scales(kind)) std::memcpy(&scale, from + l.row_offset + int64_t{row} * 4, 4);
  for (int32_t k = 0; k < l.inner; ++k) {
    const char* tile = from + (static_cast<int64_t>(band) * l.k_tiles + k / columns) * tile_bytes(kind);
    const uint32_t bits = get_bits(tile, kind, slot_of(kind, r, k % columns));
    float group = 1;
    if (l.groups > 0) {
      const int32_t g = (k / columns) >> l.group_shift;
      uint16_t half;
      std::memcpy(&half, from + l.group_offset + ((int64_t{band} * l.groups + g) * 8 + r % 8) * 4 + r / 8 * 2, 2);
      group = f16_to_f32(half);
    }
    float code = 0;
    if (kind == WeightKind::kF16) code = f16_to_f32(static_cast<uint16_t>(bits));
    if (kind == WeightKind::kBF16) code = bf16_to_f32(static_cast<uint16_t>(bits));
    if (kind == WeightKind::kI8) code = static_cast<float>(static_cast<int8_t>(bits));
    if (kind == WeightKind::kI8Float) code = static_cast<float>(static_cast<int>(bits) - 128);
    if (is_four(kind)) code = static_cast<float>(static_cast<int>(kind == WeightKind::kI4 ? bits ^ 8u : bits) - 8);
    if (is_six(kind)) code = static_cast<float>(static_cast<int>(kind == WeightKind::kI6 ? bits ^ 32u : bits) - 32);
    out[k] = kind == WeightKind::kI4Ratio ? std::nearbyintf(code * group) * scale : code * group * scale;
  }
}

uint16_t ratio_of(float inner, float outer) {
  if (outer == 0.0f) return 0;
  float want[16];
  for (int c = 0; c < 16; ++c) want[c] = std::nearbyintf(static_cast<float>(c - 8) * inner / outer);
  const uint16_t start = f32_to_f16(inner / outer);
  uint16_t best = start;
  int fewest = 17;
  for (int step : {0, -1, 1, -2, 2, -3, 3}) {
    const int bits = start + step;
    if (bits < 0 || bits >= 0x7c00) continue;
    const float ratio = f16_to_f32(static_cast<uint16_t>(bits));
    int wrong = 0;
    for (int c = 0; c < 16; ++c) wrong += std::nearbyintf(static_cast<float>(c - 8) * ratio) != want[c] ? 1 : 0;
    if (wrong < fewest) fewest = wrong, best = static_cast<uint16_t>(bits);
    if (wrong == 0) break;
  }
  return best;
}

}  // namespace quamba2::cuda
