// SPDX-License-Identifier: Apache-2.0
// ssd_scan (ops/ssd_scan.h) token by token, for decode and short segments: one sweep over the state [N][P] of a head a
// token, bound by the memory that holds it. Lanes are channels P:
//
//            p ->
//   n    | S S S S |   S = decay * S + b_n * (delta * x);  y += c_n * S
//   :    | S S S S |
//   N    | S S S S |   y and delta * x stay in registers over a sweep

namespace quamba2::QUAMBA2_ISA {
namespace {

// A segment shorter than this runs token by token.
constexpr int32_t kShortestChunk = 16;

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
  Scales scales;
};
inline HeadState head_state(const SsdScanArgs& a, int32_t slot, int64_t h) {
  const TensorView& v = a.state.values;
  const int64_t size = bytes_of(v.dtype);
  Scales scales = scales_of(a.state);
  if (scales.column) scales.data += h * a.state.scales[0].stride[0];
  return {static_cast<char*>(v.data) + (slot * static_cast<int64_t>(v.stride[0]) + h * v.stride[1]) * size,
          v.stride[2] * size, v.dtype, scales};
}
inline void decode_state(const HeadState& s, const SsdShape& shape, float* out) {  // out [states][wide], zeros beyond width
  for (int64_t n = 0; n < shape.states; ++n) {
    float* row = out + n * shape.wide;
    store(row + shape.wide - kLanes, zero());
    decode_row(s.data + n * s.row_bytes, s.dtype, s.scales, 0, shape.width, row);
  }
}
inline void encode_state(const HeadState& s, const SsdShape& shape, const float* values) {
  for (int64_t n = 0; n < shape.states; ++n) {
    encode_row(s.data + n * s.row_bytes, s.dtype, s.scales, 0, shape.width, values + n * shape.wide);
  }
}

QUAMBA2_INLINE float to_float(double a) {  // limits may be infinite, or beyond f32
  return a > 3.4e38 ? __builtin_inff() : static_cast<float>(a);
}

// delta[i] and decay[i] = exp(delta[i] * a) of head h for `count` tokens from `begin`; both have room for whole vectors.
inline void head_steps(const SsdScanArgs& args, int64_t h, int64_t begin, int64_t count, float* delta, float* decay) {
  const Scales scales = scales_of(args.dt);
  const float scale = scales.data == nullptr ? 1.0f : scales.data[scales.column ? h : 0];
  for (int64_t i = 0; i < count; ++i) {
    const void* row = matrix_row(args.dt.values, begin + i);
    delta[i] = args.dt.values.dtype == DType::kI8 ? static_cast<float>(static_cast<const int8_t*>(row)[h]) * scale
                                                  : load_float(row, args.dt.values.dtype, h);
  }
  const float* bias = static_cast<const float*>(args.dt_bias.data);
  const F32 shift = broadcast(bias == nullptr ? 0.0f : bias[h]);
  const F32 low = broadcast(to_float(args.dt_min)), high = broadcast(to_float(args.dt_max));
  const F32 a = sub(zero(), exp(broadcast(static_cast<const float*>(args.a_log.data)[h])));
  const auto step = [&](F32 dt) { return min(max(softplus(add(dt, shift)), low), high); };
  for (int64_t i = 0; i < count; i += kLanes) {
    const F32 d = step(load_n(delta + i, static_cast<int>(smaller<int64_t>(kLanes, count - i))));
    store(delta + i, d);
    store(decay + i, exp(mul(d, a)));
  }
}

// D of head h, channels from p.
QUAMBA2_INLINE F32 skip_weight(const SsdScanArgs& args, const SsdShape& shape, int64_t h, int64_t p, int n) {
  const float* d = static_cast<const float*>(args.d.data);
  if (d == nullptr) return zero();
  const bool per_channel = args.d.dim[0] == shape.heads * shape.width && shape.width != 1;
  return per_channel ? parameter(d, h * shape.width + p, n, 0.0f) : broadcast(d[h]);
}

// One token's sweep over V vectors of channels; `n` of the last one are in use.
struct Sweep {
  float* state;
  int64_t stride;
  const float *b, *c;
  int64_t states;
  float delta, decay;
};
template <int V>
QUAMBA2_INLINE void sweep_vectors(const Sweep& w, const float* x, const F32* skip, float* y, int n) {
  F32 input[V], sum[V];
  for (int v = 0; v < V; ++v) {
    const F32 value = n == kLanes ? load(x + v * kLanes) : load_n(x, n);
    input[v] = mul(broadcast(w.delta), value);
    sum[v] = mul(skip[v], value);
  }
  const F32 decay = broadcast(w.decay);
  for (int64_t k = 0; k < w.states; ++k) {
    float* row = w.state + k * w.stride;
    const F32 b = broadcast(w.b[k]), c = broadcast(w.c[k]);
    for (int v = 0; v < V; ++v) {
      const F32 old = n == kLanes ? load(row + v * kLanes) : load_n(row, n);
      const F32 s = fma(decay, old, mul(b, input[v]));
      n == kLanes ? store(row + v * kLanes, s) : store_n(row, s, n);
      sum[v] = fma(c, s, sum[v]);
    }
  }
  for (int v = 0; v < V; ++v) n == kLanes ? store(y + v * kLanes, sum[v]) : store_n(y, sum[v], n);
}

// One token of head h: x and y are its `width` channels in f32.
inline void sweep_head(const SsdScanArgs& args, const SsdShape& shape, int64_t h, Sweep w, const float* x, float* y) {
  float* state = w.state;
  int64_t p = 0;
  for (; p + 4 * kLanes <= shape.width; p += 4 * kLanes) {
    F32 skip[4];
    for (int v = 0; v < 4; ++v) skip[v] = skip_weight(args, shape, h, p + v * kLanes, kLanes);
    w.state = state + p;
    sweep_vectors<4>(w, x + p, skip, y + p, kLanes);
  }
  for (; p < shape.width; p += kLanes) {
    const int n = static_cast<int>(smaller<int64_t>(kLanes, shape.width - p));
    const F32 skip = skip_weight(args, shape, h, p, n);
    w.state = state + p;
    if (n == kLanes) {
      sweep_vectors<1>(w, x + p, &skip, y + p, kLanes);
    } else {
      sweep_vectors<1>(w, x + p, &skip, y + p, n);
    }
  }
}

// Scratch: the state of one head, b and c, x and y of one token.
inline int64_t ssd_step_floats(const SsdShape& s) { return s.states * s.wide + 2 * padded(s.states) + 2 * padded(s.width); }

// Heads [heads.begin, heads.end) of a short segment. An f32 state is updated where it lies.
inline void ssd_scan_step(const SsdScanArgs& args, const Segment& seg, Share heads, float* scratch) {
  const SsdShape shape = ssd_shape(args);
  float* b_buffer = scratch + shape.states * shape.wide;
  float *c_buffer = b_buffer + padded(shape.states), *x_buffer = c_buffer + padded(shape.states);
  float* y_buffer = x_buffer + padded(shape.width);
  float delta[kShortestChunk + kLanes], decay[kShortestChunk + kLanes];
  for (int64_t h = heads.begin; h < heads.end; ++h) {
    const HeadState stored = head_state(args, seg.slot, h);
    const bool in_place = stored.dtype == DType::kF32;
    const int64_t group = h * shape.groups / shape.heads, column = h * shape.width;
    head_steps(args, h, seg.begin, seg.length, delta, decay);
    if (!in_place) decode_state(stored, shape, scratch);
    for (int64_t i = 0; i < seg.length; ++i) {
      const int64_t t = seg.begin + i;
      const float* x = read_row(args.x, t, column, shape.width, x_buffer);
      float* y = row_target(args.out, t, column, y_buffer);
      const Sweep sweep = {in_place ? reinterpret_cast<float*>(stored.data) : scratch,
                           in_place ? args.state.values.stride[2] : shape.wide,
                           read_row(args.b, t, group * shape.states, shape.states, b_buffer),
                           read_row(args.c, t, group * shape.states, shape.states, c_buffer),
                           shape.states,
                           delta[i],
                           decay[i]};
      sweep_head(args, shape, h, sweep, x, y);
      write_row(args.out, t, column, shape.width, y);
    }
    if (!in_place) encode_state(stored, shape, scratch);
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
