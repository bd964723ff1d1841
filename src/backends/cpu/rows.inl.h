// SPDX-License-Identifier: Apache-2.0
// Rows of activations in any format, decoded to f32 and encoded from f32. Kernels work on f32 rows: a row that is f32
// already is used where it lies, others pass through a buffer that stays in the first-level cache.

namespace quamba2::QUAMBA2_ISA {
namespace {

// How many floats a buffer for `width` numbers takes: rows start on cache lines.
QUAMBA2_INLINE int64_t padded(int64_t width) { return round_up(width, 16); }

// `count` buffers for rows in the scratch of a thread.
template <int kBuffers>
inline size_t row_buffers_bytes(int64_t width, int32_t threads) {
  return static_cast<size_t>(padded(width) * kBuffers * threads) * sizeof(float);
}
QUAMBA2_INLINE float* row_buffers(const Stream& stream, int64_t width, int count, int thread) {
  return reinterpret_cast<float*>(stream.scratch) + padded(width) * count * thread;
}

QUAMBA2_INLINE int64_t bytes_of(DType dtype) { return dtype == DType::kF32 ? 4 : dtype == DType::kI8 ? 1 : 2; }

QUAMBA2_INLINE F32 load_any(const void* row, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::kI8: return load_i8(static_cast<const int8_t*>(row) + i);
    case DType::kF16: return load_f16(static_cast<const uint16_t*>(row) + i);
    case DType::kBF16: return load_bf16(static_cast<const uint16_t*>(row) + i);
    default: return load(static_cast<const float*>(row) + i);
  }
}
QUAMBA2_INLINE F32 load_any_n(const void* row, DType dtype, int64_t i, int n) {
  switch (dtype) {
    case DType::kI8: return load_i8_n(static_cast<const int8_t*>(row) + i, n);
    case DType::kF16: return load_f16_n(static_cast<const uint16_t*>(row) + i, n);
    case DType::kBF16: return load_bf16_n(static_cast<const uint16_t*>(row) + i, n);
    default: return load_n(static_cast<const float*>(row) + i, n);
  }
}

QUAMBA2_INLINE void store_any(void* row, DType dtype, int64_t i, F32 v) {
  switch (dtype) {
    case DType::kI8: return store_i8(static_cast<int8_t*>(row) + i, v);
    case DType::kF16: return store_f16(static_cast<uint16_t*>(row) + i, v);
    case DType::kBF16: return store_bf16(static_cast<uint16_t*>(row) + i, v);
    default: return store(static_cast<float*>(row) + i, v);
  }
}
QUAMBA2_INLINE void store_any_n(void* row, DType dtype, int64_t i, F32 v, int n) {
  switch (dtype) {
    case DType::kI8: return store_i8_n(static_cast<int8_t*>(row) + i, v, n);
    case DType::kF16: return store_f16_n(static_cast<uint16_t*>(row) + i, v, n);
    case DType::kBF16: return store_bf16_n(static_cast<uint16_t*>(row) + i, v, n);
    default: return store_n(static_cast<float*>(row) + i, v, n);
  }
}

// Calls full(i) for whole vectors of [0, count), then tail(i, n) for the n numbers left.
template <class Full, class Tail>
QUAMBA2_INLINE void for_vectors(int64_t count, const Full& full, const Tail& tail) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) full(i);
  if (i < count) tail(i, static_cast<int>(count - i));
}

// What decodes the numbers of a row: one scale, one a column, or none. With a scale a row, that of the row.
struct Scales {
  const float* data = nullptr;
  bool column = false;
};
QUAMBA2_INLINE Scales scales_of(const Operand& x, int64_t row = 0) {
  if (x.format.levels == 0) return {};
  const float* data = static_cast<const float*>(x.scales[0].data);
  return {x.format.dynamic ? data + row : data, x.format.level[0].grain == Grain::kColumn};
}
QUAMBA2_INLINE F32 scale_at(Scales s, int64_t i, int n) {
  if (s.data == nullptr) return broadcast(1.0f);
  if (!s.column) return broadcast(*s.data);
  return n == kLanes ? load(s.data + i) : load_n(s.data + i, n);
}

// out[i] = decoded row[begin + i]. Scales of columns are those of column `begin + i`.
inline void decode_row(const void* row, DType dtype, Scales scales, int64_t begin, int64_t count, float* out) {
  const auto scaled = [&](F32 v, int64_t i, int n) {
    return scales.data == nullptr ? v : mul(v, scale_at(scales, begin + i, n));
  };
  for_vectors(
      count, [&](int64_t i) { store(out + i, scaled(load_any(row, dtype, begin + i), i, kLanes)); },
      [&](int64_t i, int n) { store_n(out + i, scaled(load_any_n(row, dtype, begin + i, n), i, n), n); });
}

// What encodes numbers of scale s: code = v * up * inverse, as the epilogue of `linear` does. It differs from v / s by at
// most one code, where the quotient is within two roundings of a tie.
QUAMBA2_INLINE Encoder encoder_for(F32 s) {
  const F32 up = if_less(s, broadcast(0x1p-60f), broadcast(0x1p+64f), broadcast(1.0f));
  return {up, if_less(zero(), s, div(broadcast(1.0f), mul(s, up)), zero())};
}
QUAMBA2_INLINE F32 code_of(F32 v, const Encoder& e) { return mul(mul(v, e.up), e.inverse); }

// Encodes channels of a dynamic state, block after block of N; each number takes over what rounding has left of the one
// before it (encode_state of tensor/operand.h).
struct ChannelEncoder {
  F32 scale = zero(), carry = zero();  // carry counts steps of `scale`
  Encoder encoder;

  QUAMBA2_INLINE void begin_block(F32 largest) {
    const F32 before = scale;
    scale = div(largest, broadcast(127.0f));
    encoder = encoder_for(scale);
    const F32 ratio = min(code_of(before, encoder), broadcast(0x1p+100f));
    carry = min(max(mul(carry, ratio), broadcast(-0.5f)), broadcast(0.5f));
  }
  QUAMBA2_INLINE F32 code(F32 v) {
    const F32 goal = add(code_of(v, encoder), carry), code = min(rint(goal), broadcast(127.0f));
    carry = sub(goal, code);
    return code;
  }
};

// row[begin + i] = values[i], encoded.
inline void encode_row(void* row, DType dtype, Scales scales, int64_t begin, int64_t count, const float* values) {
  const Encoder all = encoder_for(scale_at({scales.data, false}, 0, kLanes));
  const auto code = [&](F32 v, int64_t i, int n) {
    if (scales.data == nullptr) return v;
    return code_of(v, scales.column ? encoder_for(scale_at(scales, begin + i, n)) : all);
  };
  for_vectors(
      count, [&](int64_t i) { store_any(row, dtype, begin + i, code(load(values + i), i, kLanes)); },
      [&](int64_t i, int n) { store_any_n(row, dtype, begin + i, code(load_n(values + i, n), i, n), n); });
}

// Row `row` of a matrix [T, C].
QUAMBA2_INLINE void* matrix_row(const TensorView& v, int64_t row) {
  return static_cast<char*>(v.data) + row * v.stride[0] * bytes_of(v.dtype);
}

// Columns [begin, begin + count) of a row as f32: where they lie, or decoded into `buffer`.
inline const float* read_row(const Operand& x, int64_t row, int64_t begin, int64_t count, float* buffer) {
  const void* source = matrix_row(x.values, row);
  if (x.values.dtype == DType::kF32) return static_cast<const float*>(source) + begin;
  decode_row(source, x.values.dtype, scales_of(x, row), begin, count, buffer);
  return buffer;
}

// Where to compute columns from `begin` of an output row: in place, or in `buffer` for write_row to encode.
QUAMBA2_INLINE float* row_target(const Operand& out, int64_t row, int64_t begin, float* buffer) {
  return out.values.dtype == DType::kF32 ? static_cast<float*>(matrix_row(out.values, row)) + begin : buffer;
}
// The largest |x[i]|.
inline float largest_of(const float* x, int64_t count) {
  F32 part[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) part[k] = max(abs(load(x + i + k * kLanes)), part[k]);
  }
  for (; i + kLanes <= count; i += kLanes) part[0] = max(abs(load(x + i)), part[0]);
  if (i < count) part[1] = max(abs(load_n(x + i, static_cast<int>(count - i))), part[1]);
  return max_of(max(max(part[0], part[1]), max(part[2], part[3])));
}

// With a scale a row, columns are all of them: the scale is that of the values.
inline void write_row(const Operand& out, int64_t row, int64_t begin, int64_t count, const float* values) {
  if (out.values.dtype == DType::kF32) return;
  if (out.format.dynamic) static_cast<float*>(out.scales[0].data)[row] = largest_of(values, count) / 127.0f;
  encode_row(matrix_row(out.values, row), out.values.dtype, scales_of(out, row), begin, count, values);
}

// Whether the functions above can read (or write) `x` a range of columns at a time, or whole rows at a time.
inline const char* refuse_rows(const Operand& x) {
  const Format& f = x.format;
  if (x.values.stride[x.values.rank - 1] != 1) return "needs contiguous rows";
  if (f.storage == DType::kF32 || f.storage == DType::kF16 || f.storage == DType::kBF16) {
    return f.levels == 0 ? nullptr : "needs float numbers without scales";
  }
  if (f.storage != DType::kI8) return "needs f32, f16, bf16 or i8 numbers";
  if (f.dynamic) return "needs static scales";
  if (f.levels != 1) return "needs one level of scales";
  if (f.level[0].grain != Grain::kTensor && f.level[0].grain != Grain::kColumn)
    return "needs scales a tensor or column";
  return f.level[0].dtype == DType::kF32 ? nullptr : "needs f32 scales";
}
inline const char* refuse_whole_rows(const Operand& x) {
  return is_dynamic_row(x.format) && x.values.stride[1] == 1 ? nullptr : refuse_rows(x);
}
// Whether a scan can keep its state so.
inline const char* refuse_state(const Operand& x) { return is_dynamic_state(x.format) ? nullptr : refuse_rows(x); }
inline const char* refuse_parameters(const TensorView& v) {
  return v.data == nullptr || v.dtype == DType::kF32 ? nullptr : "needs f32 parameters";
}
template <class... Reasons>
inline const char* first_reason(Reasons... reasons) {
  const char* found = nullptr;
  ((found = found != nullptr ? found : reasons), ...);
  return found;
}

// Calls function(run) for runs of at most `every` tokens of a segment, after each of which the state is rounded. Rounding to
// f32 is what a run does anyway: such states are not cut.
template <class Function>
inline void for_state_runs(const Segment& seg, int32_t every, DType state, const Function& function) {
  if (every <= 0 || every >= seg.length || state == DType::kF32) return function(seg);
  for (int32_t at = 0; at < seg.length; at += every) {
    function(Segment{seg.begin + at, smaller(every, seg.length - at), seg.slot});
  }
}

// Splits rows over the threads; `function(begin, end, thread)`. One row, or little work, stays with the caller.
template <class Function>
inline void split_rows(const Stream& stream, int64_t rows, int64_t width, const Function& function) {
  if (rows < 2 || stream.threads < 2 || rows * width < 16384) return function(int64_t{0}, rows, 0);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(rows, index, stream.threads);
    function(share.begin, share.end, index);
  });
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
