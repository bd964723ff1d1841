// SPDX-License-Identifier: Apache-2.0
// The end of every linear kernel: a tile of f32 results, plus bias, to the parts of the output, each in its format.

namespace quamba2::QUAMBA2_ISA {
namespace {

inline const char* refuse_outputs(const OutputParts& out) {
  for (int i = 0; i < out.count; ++i) {
    const Format& f = out.part[i].format;
    if (is_float_type(f.storage)) {
      if (f.levels != 0) return "needs float outputs without scales";
      continue;
    }
    if (f.storage != DType::kI8 || f.levels != 1) return "needs f32, f16, bf16 or i8 outputs";
    if (f.dynamic) return "needs static output scales: a tile sees a part of a row";
    if (f.level[0].grain != Grain::kTensor && f.level[0].grain != Grain::kColumn) {
      return "needs output scales a tensor or column";
    }
    if (!is_float_type(f.level[0].dtype)) return "needs float output scales";
  }
  return nullptr;
}

// Multipliers that encode: code = rint(y * up * inverse). `up` keeps 1 / scale finite where the scale is tiny; a scale of
// zero gives code 0.
struct Encoder {
  F32 up, inverse;
};
inline Encoder encoder_of(const Operand& part, int64_t column, int columns) {
  const TensorView& scales = part.scales[0];
  F32 s;
  if (part.format.level[0].grain == Grain::kTensor) {
    s = broadcast(load_float(scales.data, scales.dtype, 0));
  } else if (scales.dtype == DType::kF32) {
    s = load_n(static_cast<const float*>(scales.data) + column, columns);
  } else {
    float each[kLanes] = {};
    for (int i = 0; i < columns; ++i) each[i] = load_float(scales.data, scales.dtype, column + i);
    s = load(each);
  }
  const F32 up = if_less(abs(s), broadcast(0x1p-60f), broadcast(0x1p+64f), broadcast(1.0f));
  const F32 inverse = div(broadcast(1.0f), mul(s, up));
  return {up, if_less(zero(), abs(s), inverse, zero())};
}

// Columns [column, column + n) of a part, n <= kLanes, from tile [rows][ld].
inline void store_part(const Operand& part, int64_t row, int rows, int64_t column, int n, const float* tile, int64_t ld,
                       F32 bias) {
  const int64_t stride = part.values.stride[0], first_element = row * stride + column;
  if (part.format.storage == DType::kF32) {
    float* out = static_cast<float*>(part.values.data) + first_element;
    for (int r = 0; r < rows; ++r) {
      const F32 y = add(load(tile + r * ld), bias);
      if (n == kLanes)
        store(out + r * stride, y);
      else
        store_n(out + r * stride, y, n);
    }
  } else if (part.format.storage == DType::kI8) {
    const Encoder encoder = encoder_of(part, column, n);
    int8_t* out = static_cast<int8_t*>(part.values.data) + first_element;
    for (int r = 0; r < rows; ++r) {
      const F32 y = mul(mul(add(load(tile + r * ld), bias), encoder.up), encoder.inverse);
      if (n == kLanes)
        store_i8(out + r * stride, y);
      else
        store_i8_n(out + r * stride, y, n);
    }
  } else {
    uint16_t* out = static_cast<uint16_t*>(part.values.data) + first_element;
    for (int r = 0; r < rows; ++r) {
      const F32 y = add(load(tile + r * ld), bias);
      if (part.format.storage == DType::kF16)
        store_f16_n(out + r * stride, y, n);
      else
        store_bf16_n(out + r * stride, y, n);
    }
  }
}

// Results of rows [row, row + rows) and columns [n0, n0 + columns): tile [rows][ld], readable to a whole vector.
inline void store_tile(const LinearArgs& args, int64_t row, int rows, int64_t n0, int64_t columns, const float* tile,
                       int64_t ld) {
  for (int i = 0; i < args.out.count; ++i) {
    const int64_t begin = larger<int64_t>(n0, args.out.begin[i]);
    const int64_t end = smaller<int64_t>(n0 + columns, args.out.begin[i + 1]);
    for (int64_t c = begin; c < end; c += kLanes) {
      const int n = static_cast<int>(smaller<int64_t>(kLanes, end - c));
      const float* b = static_cast<const float*>(args.bias.data);
      const F32 bias = b == nullptr ? zero() : load_n(b + c, n);
      store_part(args.out.part[i], row, rows, c - args.out.begin[i], n, tile + (c - n0), ld, bias);
    }
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
