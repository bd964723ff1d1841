// SPDX-License-Identifier: Apache-2.0
// gate (ops/gate.h), add, convert (ops/elementwise.h), select_rows. Rows are worked through in strips whose f32 forms
// stay in the first-level cache.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int64_t kStrip = 1024;  // columns

// Whether a row is encoded only when all of it is there.
QUAMBA2_INLINE bool needs_whole_rows(const Operand& out, Rotation rotation) {
  return out.format.dynamic || rotation != Rotation::kNone;
}
// Scratch a thread: three strips, or two and a whole row.
QUAMBA2_INLINE int64_t strips_floats(const Operand& out, Rotation rotation = Rotation::kNone) {
  return 2 * kStrip + (needs_whole_rows(out, rotation) ? padded(out.values.dim[1]) : kStrip);
}
inline size_t strips_bytes(const Operand& out, int32_t threads, Rotation rotation = Rotation::kNone) {
  return static_cast<size_t>(strips_floats(out, rotation) * threads) * sizeof(float);
}

// out = function(a, b) element by element, then the rotation.
template <class Function>
inline void map_pairs(const Operand& a, const Operand& b, const Operand& out, Rotation rotation, const Stream& stream,
                      const Function& function) {
  const int64_t width = a.values.dim[1];
  const bool whole = needs_whole_rows(out, rotation);
  const Rotator rotator(rotation, width);
  split_rows(stream, a.values.dim[0], width, [&](int64_t begin, int64_t end, int thread) {
    float* buffer = reinterpret_cast<float*>(stream.scratch) + strips_floats(out, rotation) * thread;
    for (int64_t t = begin; t < end; ++t) {
      float* results = whole ? row_target(out, t, 0, buffer + 2 * kStrip) : buffer + 2 * kStrip;
      for (int64_t c = 0; c < width; c += kStrip) {
        const int64_t count = smaller(kStrip, width - c);
        const float* p = read_row(a, t, c, count, buffer);
        const float* q = read_row(b, t, c, count, buffer + kStrip);
        float* target = whole ? results + c : row_target(out, t, c, results);
        for_vectors(
            count, [&](int64_t i) { store(target + i, function(load(p + i), load(q + i))); },
            [&](int64_t i, int n) { store_n(target + i, function(load_n(p + i, n), load_n(q + i, n)), n); });
        if (!whole) write_row(out, t, c, count, target);
      }
      if (!whole) continue;
      rotator.apply(results);
      write_row(out, t, 0, width, results);
    }
  });
}

inline Verdict supports_gate(const GateArgs& a) {
  return {first_reason(refuse_rotation(a.rotation, a.y.values.dim[1]), refuse_whole_rows(a.y), refuse_whole_rows(a.z),
                       refuse_whole_rows(a.out))};
}
inline size_t gate_scratch(const GateArgs& a, int32_t threads) { return strips_bytes(a.out, threads, a.rotation); }
inline void run_gate(const GateArgs& a, const Stream& stream) {
  map_pairs(a.y, a.z, a.out, a.rotation, stream, [](F32 y, F32 z) { return mul(y, silu(z)); });
}

inline Verdict supports_add(const AddArgs& a) {
  return {first_reason(refuse_whole_rows(a.a), refuse_whole_rows(a.b), refuse_whole_rows(a.out))};
}
inline size_t add_scratch(const AddArgs& a, int32_t threads) { return strips_bytes(a.out, threads); }
inline void run_add(const AddArgs& a, const Stream& stream) {
  map_pairs(a.a, a.b, a.out, Rotation::kNone, stream, [](F32 x, F32 y) { return add(x, y); });
}

inline Verdict supports_convert(const ConvertArgs& a) {
  return {first_reason(refuse_whole_rows(a.x), refuse_whole_rows(a.out))};
}
inline size_t convert_scratch(const ConvertArgs& a, int32_t threads) { return strips_bytes(a.out, threads); }
inline void run_convert(const ConvertArgs& a, const Stream& stream) {
  const int64_t width = a.x.values.dim[1], strip = a.out.format.dynamic ? width : kStrip;
  split_rows(stream, a.x.values.dim[0], width, [&](int64_t begin, int64_t end, int thread) {
    float* buffer = reinterpret_cast<float*>(stream.scratch) + strips_floats(a.out) * thread;
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t c = 0; c < width; c += strip) {
        const int64_t count = smaller(strip, width - c);
        const float* x = read_row(a.x, t, c, count, buffer);
        if (a.out.values.dtype == DType::kF32) {
          encode_row(matrix_row(a.out.values, t), DType::kF32, {}, c, count, x);
        } else {
          write_row(a.out, t, c, count, x);
        }
      }
    }
  });
}

inline Verdict supports_select_rows(const SelectRowsArgs& a) {
  if (!is_float_type(a.x.format.storage) || a.x.format.storage != a.out.format.storage)
    return {"needs equal float types"};
  return {first_reason(refuse_rows(a.x), refuse_rows(a.out))};
}
inline void run_select_rows(const SelectRowsArgs& a, const Stream& stream) {
  const int64_t width = a.x.values.dim[1];
  const size_t bytes = static_cast<size_t>(width * bytes_of(a.x.values.dtype));
  split_rows(stream, a.rows.dim[0], width, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      __builtin_memcpy(matrix_row(a.out.values, r), matrix_row(a.x.values, load_as<int32_t>(a.rows.data, r)), bytes);
    }
  });
}

constexpr Kernel<GateArgs> kGateRows[] = {{"gate_" QUAMBA2_ISA_NAME, supports_gate, run_gate, gate_scratch}};
constexpr Kernel<AddArgs> kAddRows[] = {{"add_" QUAMBA2_ISA_NAME, supports_add, run_add, add_scratch}};
constexpr Kernel<ConvertArgs> kConvertRows[] = {
    {"convert_" QUAMBA2_ISA_NAME, supports_convert, run_convert, convert_scratch}};
constexpr Kernel<SelectRowsArgs> kSelectRowsRows[] = {
    {"select_rows_" QUAMBA2_ISA_NAME, supports_select_rows, run_select_rows}};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
