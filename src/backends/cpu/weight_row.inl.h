// SPDX-License-Identifier: Apache-2.0
// Decoding of canonical weight matrices [N, K] (tensor/packing.h) by rows: for re-laying, and for `embed`. Sources may be
// unaligned: they are often mapped files.

namespace quamba2::QUAMBA2_ISA {
namespace {

QUAMBA2_INLINE const uint8_t* weight_row_address(const TensorView& w, int64_t row) {
  const uint8_t* base = static_cast<const uint8_t*>(w.data);
  switch (w.dtype) {
    case DType::kI6: return base + row * ((static_cast<int64_t>(w.dim[1]) * 6 + 31) / 32 * 4);
    case DType::kI4: return base + row * w.stride[0] / 2;
    case DType::kI8: return base + row * w.stride[0];
    case DType::kF32: return base + row * w.stride[0] * 4;
    default: return base + row * w.stride[0] * 2;
  }
}

// The signed integer code at `k` of a row.
QUAMBA2_INLINE int32_t weight_code(const uint8_t* row, DType dtype, int64_t k) {
  if (dtype == DType::kI8) return static_cast<int8_t>(row[k]);
  if (dtype == DType::kI4) return ((row[k >> 1] >> ((k & 1) * 4)) & 15) - 8;
  const int64_t bit = k * 6;
  const int shift = static_cast<int>(bit & 7);
  uint32_t bits = row[bit >> 3];
  if (shift > 2) bits |= static_cast<uint32_t>(row[(bit >> 3) + 1]) << 8;
  return static_cast<int32_t>((bits >> shift) & 63u) - 32;
}

// The scale of level 0 at (row, k).
QUAMBA2_INLINE float weight_scale(const Operand& w, int64_t row, int64_t k) {
  const ScaleLevel& level = w.format.level[0];
  const TensorView& s = w.scales[0];
  if (level.grain == Grain::kTensor) return load_float(s.data, s.dtype, 0);
  if (level.grain == Grain::kRow) return load_float(s.data, s.dtype, row);
  return load_float(s.data, s.dtype, row * s.stride[0] + k / level.group);
}

// Elements a scale of level 0 holds for, along K.
QUAMBA2_INLINE int64_t weight_group(const Operand& w) {
  return w.format.level[0].grain == Grain::kGroup ? w.format.level[0].group : larger<int64_t>(w.values.dim[1], 1);
}

// The scale outside the codes that weight_codes_row gives: of level 1 where there are two.
QUAMBA2_INLINE float weight_outer_scale(const Operand& w, int64_t row) {
  const int last = w.format.levels == 2 ? 1 : 0;
  const bool tensor = w.format.level[last].grain == Grain::kTensor;
  return load_float(w.scales[last].data, w.scales[last].dtype, tensor ? 0 : row);
}

QUAMBA2_INLINE bool is_float_type(DType t) { return t == DType::kF32 || t == DType::kF16 || t == DType::kBF16; }

// Whether decode_weight_row can read it.
inline const char* refuse_weight(const Operand& w) {
  const Format& f = w.format;
  if (w.values.rank != 2 || w.values.stride[1] != 1) return "needs a weight matrix with contiguous rows";
  if (is_float_type(f.storage)) return f.levels == 0 ? nullptr : "needs float weights without scales";
  if (f.storage != DType::kI8 && f.storage != DType::kI6 && f.storage != DType::kI4) return "needs a known weight type";
  if (f.levels == 2) {
    const bool inner = f.level[0].grain == Grain::kGroup, outer = f.level[1].grain == Grain::kRow;
    if (f.storage != DType::kI4 || !inner || !outer) return "needs two-level weights as i4, group under row";
    if (f.level[1].dtype != DType::kF32 && f.level[1].dtype != DType::kF16) return "needs f32 or f16 scales";
  } else if (f.levels != 1) {
    return "needs weight scales";
  }
  const ScaleLevel& level = f.level[0];
  if (level.grain == Grain::kColumn) return "needs weight scales a tensor, row or group";
  if (level.grain == Grain::kGroup && level.group < 1) return "needs a positive group size";
  if (level.dtype != DType::kF32 && level.dtype != DType::kF16) return "needs f32 or f16 scales";
  return nullptr;
}

// out[i] = the signed code of w[row, begin + i]; of two levels, rint(code * s_g / s_c) (method.md 2.7).
inline void weight_codes_row(const Operand& w, int64_t row, int64_t begin, int64_t count, int8_t* out) {
  const uint8_t* source = weight_row_address(w.values, row);
  const DType dtype = w.values.dtype;
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<int8_t>(weight_code(source, dtype, begin + i));
  if (w.format.levels < 2) return;
  const float outer = weight_outer_scale(w, row);
  const int64_t group = weight_group(w);
  for (int64_t i = 0; i < count;) {
    const int64_t k = begin + i, end = smaller(count, i + group - k % group);
    const float scale = weight_scale(w, row, k);
    for (; i < end; ++i) {
      const float ratio = outer == 0.0f ? 0.0f : static_cast<float>(out[i]) * scale / outer;
      store_i8_n(out + i, broadcast(ratio), 1);
    }
  }
}

// out[i] = decoded w[row, begin + i], i in [0, count).
inline void decode_weight_row(const Operand& w, int64_t row, int64_t begin, int64_t count, float* out) {
  const uint8_t* source = weight_row_address(w.values, row);
  const DType dtype = w.values.dtype;
  if (is_float_type(dtype)) {
    for (int64_t i = 0; i < count; ++i) out[i] = load_float(source, dtype, begin + i);
    return;
  }
  if (w.format.levels == 2) {
    const float outer = weight_outer_scale(w, row);
    for (int64_t i = 0; i < count; ++i) {
      int8_t code;
      weight_codes_row(w, row, begin + i, 1, &code);
      out[i] = static_cast<float>(code) * outer;
    }
    return;
  }
  const int64_t group = weight_group(w);
  for (int64_t i = 0; i < count;) {
    const int64_t k = begin + i, end = smaller(count, i + group - k % group);
    const float scale = weight_scale(w, row, k);
    for (; i < end; ++i) out[i] = static_cast<float>(weight_code(source, dtype, begin + i)) * scale;
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
