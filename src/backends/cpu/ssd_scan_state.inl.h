// SPDX-License-Identifier: Apache-2.0
// The state of a head of ssd_scan (ops/ssd_scan.h) as it is stored: decoded to f32, and encoded from it. Dynamic scales
// are computed a channel and block of kStateBlock rows.

namespace quamba2::QUAMBA2_ISA {
namespace {

struct SsdShape {
  int64_t heads, states, width, groups;
  int64_t wide;  // width, padded to vectors
  int64_t tall;  // states, padded to tiles
};
inline SsdShape ssd_shape(const SsdScanArgs& a) {
  const TensorView& v = a.state.values;
  return {v.dim[1], v.dim[2], v.dim[3], a.groups, round_up(v.dim[3], kLanes), round_up(v.dim[2], 8)};
}

// Where head h of a slot lies, and how its rows are stored.
struct HeadState {
  char* data;
  int64_t row_bytes;
  DType dtype;
  Scales scales;              // of the first row
  int64_t scale_step = 0;     // from the scales of a row, or block of rows, to those of the next; 0: all have the same
  float* computed = nullptr;  // [blocks][width]: where dynamic scales go; null: they are static
};
inline HeadState head_state(const SsdScanArgs& a, int32_t slot, int64_t h) {
  const TensorView &v = a.state.values, &s = a.state.scales[0];
  const int64_t size = bytes_of(v.dtype);
  HeadState out = {static_cast<char*>(v.data) + (slot * static_cast<int64_t>(v.stride[0]) + h * v.stride[1]) * size,
                   v.stride[2] * size, v.dtype, scales_of(a.state)};
  if (!out.scales.column) return out;
  if (a.state.format.dynamic) {
    out.computed = static_cast<float*>(s.data) + slot * static_cast<int64_t>(s.stride[0]) + h * s.stride[1];
    out.scales.data = out.computed;
    out.scale_step = s.stride[2];
    return out;
  }
  if (s.rank > 1) out.scales.data += h * s.stride[0];
  if (s.rank == 3) out.scale_step = s.stride[1];
  return out;
}
QUAMBA2_INLINE Scales row_scales(const HeadState& s, int64_t n) {
  const int64_t at = s.computed != nullptr ? n / kStateBlock : n;
  return {s.scales.data == nullptr ? nullptr : s.scales.data + at * s.scale_step, s.scales.column};
}
inline void decode_state(const HeadState& s, const SsdShape& shape,
                         float* out) {  // out [states][wide], zeros beyond width
  for (int64_t n = 0; n < shape.states; ++n) {
    float* row = out + n * shape.wide;
    store(row + shape.wide - kLanes, zero());
    decode_row(s.data + n * s.row_bytes, s.dtype, row_scales(s, n), 0, shape.width, row);
  }
}

// V vectors of channels from p (or the n last channels, V = 1) of a state with computed scales.
template <int V, bool kWhole>
struct ChannelWriter {
  const HeadState& state;
  int64_t p;
  int n;
  ChannelEncoder encoder[V];

  // The numbers at values[(k * V + v) * kLanes] are rows [first, first + count), a block or the rest of one; largest[v]
  // are their largest magnitudes.
  QUAMBA2_INLINE void write(int64_t first, int64_t count, const float* values, const F32* largest) {
    for (int v = 0; v < V; ++v) {
      encoder[v].begin_block(largest[v]);
      float* to = state.computed + first / kStateBlock * state.scale_step + p + v * kLanes;
      kWhole ? store(to, encoder[v].scale) : store_n(to, encoder[v].scale, n);
    }
    char* row = state.data + first * state.row_bytes;
    for (int64_t k = 0; k < count; ++k, row += state.row_bytes) {
      for (int v = 0; v < V; ++v) {
        const F32 code = encoder[v].code(load(values + (k * V + v) * kLanes));
        const int64_t at = p + v * kLanes;
        kWhole ? store_any(row, DType::kI8, at, code) : store_any_n(row, DType::kI8, at, code, n);
      }
    }
  }
};

// One vector of channels of a whole head; values as decode_state leaves them.
template <bool kWhole>
inline void encode_channels(const HeadState& s, const SsdShape& shape, const float* values, int64_t p, int n) {
  ChannelWriter<1, kWhole> writer{s, p, n, {}};
  alignas(64) float block[kStateBlock * kLanes];
  for (int64_t first = 0; first < shape.states; first += kStateBlock) {
    const int64_t count = smaller<int64_t>(kStateBlock, shape.states - first);
    F32 largest = zero();
    for (int64_t k = 0; k < count; ++k) {
      const F32 value = load(values + (first + k) * shape.wide + p);
      store(block + k * kLanes, value);
      largest = max(abs(value), largest);
    }
    writer.write(first, count, block, &largest);
  }
}
inline void encode_state(const HeadState& s, const SsdShape& shape, const float* values) {
  if (s.computed != nullptr) {
    return for_vectors(
        shape.width, [&](int64_t p) { encode_channels<true>(s, shape, values, p, kLanes); },
        [&](int64_t p, int n) { encode_channels<false>(s, shape, values, p, n); });
  }
  for (int64_t n = 0; n < shape.states; ++n) {
    encode_row(s.data + n * s.row_bytes, s.dtype, row_scales(s, n), 0, shape.width, values + n * shape.wide);
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
