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

// How a sweep decodes and encodes the state: floats need no scales; those of integers are the same for all rows, differ
// from row to row, or are computed, block by block, from what the sweep gives.
enum class StateScales { kNone, kShared, kRows, kComputed };

// One token's sweep. Integer states are decoded and encoded on the way: what is read and written is what is stored.
struct Sweep {
  HeadState state;
  const float *b, *c;
  int64_t states;
  float delta, decay;
};

template <int V, bool kWhole>
QUAMBA2_INLINE void load_scales(const HeadState& state, int64_t row, int64_t p, int n, F32* scale) {
  for (int v = 0; v < V; ++v) scale[v] = scale_at(row_scales(state, row), p + v * kLanes, kWhole ? kLanes : n);
}

// V vectors of channels [p, p + V * kLanes), or the n < kLanes last ones (V = 1, not kWhole).
template <int V, DType kState, bool kWhole>
struct SweepVectors {
  const Sweep& w;
  int64_t p;
  int n;
  F32 input[V], sum[V];

  QUAMBA2_INLINE F32 old(const char* row, int v) const {
    const int64_t at = p + v * kLanes;
    return kWhole ? load_any(row, kState, at) : load_any_n(row, kState, at, n);
  }
  QUAMBA2_INLINE void keep(char* row, int v, F32 value) const {
    const int64_t at = p + v * kLanes;
    kWhole ? store_any(row, kState, at, value) : store_any_n(row, kState, at, value, n);
  }
  // The new number of row k from the old one; adds to the output.
  QUAMBA2_INLINE F32 step(int64_t k, int v, F32 factor, F32 value) {
    const F32 s = fma(factor, value, mul(broadcast(w.b[k]), input[v]));
    sum[v] = fma(broadcast(w.c[k]), s, sum[v]);
    return s;
  }

  // Floats, and integers with static scales.
  template <StateScales kScales>
  QUAMBA2_INLINE void rows() {
    F32 scale[V], factor[V];
    Encoder encoder[V];
    for (int v = 0; v < V; ++v) factor[v] = broadcast(w.decay);
    if constexpr (kScales == StateScales::kShared) {
      load_scales<V, kWhole>(w.state, 0, p, n, scale);
      for (int v = 0; v < V; ++v) factor[v] = mul(factor[v], scale[v]), encoder[v] = encoder_for(scale[v]);
    }
    char* row = w.state.data;
    for (int64_t k = 0; k < w.states; ++k, row += w.state.row_bytes) {
      if constexpr (kScales == StateScales::kRows) {
        load_scales<V, kWhole>(w.state, k, p, n, scale);
        for (int v = 0; v < V; ++v) {
          factor[v] = mul(broadcast(w.decay), scale[v]), encoder[v] = encoder_for(scale[v]);
        }
      }
      for (int v = 0; v < V; ++v) {
        const F32 s = step(k, v, factor[v], old(row, v));
        keep(row, v, kScales == StateScales::kNone ? s : code_of(s, encoder[v]));
      }
    }
  }

  // Computed scales: a block's new numbers wait in the first-level cache until its scales are known.
  QUAMBA2_INLINE void blocks() {
    alignas(64) float waiting[kStateBlock * V * kLanes];
    ChannelWriter<V, kWhole> writer{w.state, p, n, {}};
    for (int64_t first = 0; first < w.states; first += kStateBlock) {
      const int64_t count = smaller<int64_t>(kStateBlock, w.states - first);
      F32 factor[V], largest[V];
      load_scales<V, kWhole>(w.state, first, p, n, factor);
      for (int v = 0; v < V; ++v) factor[v] = mul(broadcast(w.decay), factor[v]), largest[v] = zero();
      const char* row = w.state.data + first * w.state.row_bytes;
      for (int64_t k = 0; k < count; ++k, row += w.state.row_bytes) {
        for (int v = 0; v < V; ++v) {
          const F32 s = step(first + k, v, factor[v], old(row, v));
          store(waiting + (k * V + v) * kLanes, s);
          largest[v] = max(abs(s), largest[v]);
        }
      }
      writer.write(first, count, waiting, largest);
    }
  }
};

template <int V, DType kState, StateScales kScales, bool kWhole>
QUAMBA2_INLINE void sweep_vectors(const Sweep& w, const float* x, const F32* skip, float* y, int64_t p, int n) {
  SweepVectors<V, kState, kWhole> lanes{w, p, n, {}, {}};
  for (int v = 0; v < V; ++v) {
    const F32 value = kWhole ? load(x + p + v * kLanes) : load_n(x + p, n);
    lanes.input[v] = mul(broadcast(w.delta), value);
    lanes.sum[v] = mul(skip[v], value);
  }
  if constexpr (kScales == StateScales::kComputed) {
    lanes.blocks();
  } else {
    lanes.template rows<kScales>();
  }
  for (int v = 0; v < V; ++v) {
    float* to = y + p + v * kLanes;
    kWhole ? store(to, lanes.sum[v]) : store_n(to, lanes.sum[v], n);
  }
}

// One token of head h: x and y are its `width` channels in f32.
template <DType kState, StateScales kScales = StateScales::kNone>
inline void sweep_head(const SsdScanArgs& args, const SsdShape& shape, int64_t h, const Sweep& w, const float* x,
                       float* y) {
  int64_t p = 0;
  for (; p + 4 * kLanes <= shape.width; p += 4 * kLanes) {
    F32 skip[4];
    for (int v = 0; v < 4; ++v) skip[v] = skip_weight(args, shape, h, p + v * kLanes, kLanes);
    sweep_vectors<4, kState, kScales, true>(w, x, skip, y, p, kLanes);
  }
  for (; p + kLanes <= shape.width; p += kLanes) {
    const F32 skip = skip_weight(args, shape, h, p, kLanes);
    sweep_vectors<1, kState, kScales, true>(w, x, &skip, y, p, kLanes);
  }
  if (p < shape.width) {
    const int n = static_cast<int>(shape.width - p);
    const F32 skip = skip_weight(args, shape, h, p, n);
    sweep_vectors<1, kState, kScales, false>(w, x, &skip, y, p, n);
  }
}
inline void sweep_head(const SsdScanArgs& args, const SsdShape& shape, int64_t h, const Sweep& w, const float* x,
                       float* y) {
  switch (w.state.dtype) {
    case DType::kI8:
      if (w.state.computed != nullptr) {
        return sweep_head<DType::kI8, StateScales::kComputed>(args, shape, h, w, x, y);
      }
      if (w.state.scale_step != 0) return sweep_head<DType::kI8, StateScales::kRows>(args, shape, h, w, x, y);
      return sweep_head<DType::kI8, StateScales::kShared>(args, shape, h, w, x, y);
    case DType::kF16: return sweep_head<DType::kF16>(args, shape, h, w, x, y);
    case DType::kBF16: return sweep_head<DType::kBF16>(args, shape, h, w, x, y);
    default: return sweep_head<DType::kF32>(args, shape, h, w, x, y);
  }
}

// Scratch: the state of one head, b and c, x and y of one token.
inline int64_t ssd_step_floats(const SsdShape& s) {
  return s.states * s.wide + 2 * padded(s.states) + 2 * padded(s.width);
}

// Heads [heads.begin, heads.end) of a short segment. A state is updated where it lies, if it is f32 or if there is only
// one token; else it is decoded before the first token and encoded after the last.
inline void ssd_scan_step(const SsdScanArgs& args, const Segment& seg, Share heads, float* scratch) {
  const SsdShape shape = ssd_shape(args);
  float* b_buffer = scratch + shape.states * shape.wide;
  float *c_buffer = b_buffer + padded(shape.states), *x_buffer = c_buffer + padded(shape.states);
  float* y_buffer = x_buffer + padded(shape.width);
  float delta[kShortestChunk + kLanes], decay[kShortestChunk + kLanes];
  for (int64_t h = heads.begin; h < heads.end; ++h) {
    const HeadState stored = head_state(args, seg.slot, h);
    const bool in_place = stored.dtype == DType::kF32 || seg.length == 1;
    const int64_t group = h * shape.groups / shape.heads, column = h * shape.width;
    head_steps(args, h, seg.begin, seg.length, delta, decay);
    if (!in_place) decode_state(stored, shape, scratch);
    Sweep sweep{};
    sweep.state = stored;
    if (!in_place) {
      sweep.state = {
          reinterpret_cast<char*>(scratch), shape.wide * static_cast<int64_t>(sizeof(float)), DType::kF32, {}};
    }
    sweep.states = shape.states;
    for (int64_t i = 0; i < seg.length; ++i) {
      const int64_t t = seg.begin + i;
      const float* x = read_row(args.x, t, column, shape.width, x_buffer);
      float* y = row_target(args.out, t, column, y_buffer);
      sweep.b = read_row(args.b, t, group * shape.states, shape.states, b_buffer);
      sweep.c = read_row(args.c, t, group * shape.states, shape.states, c_buffer);
      sweep.delta = delta[i];
      sweep.decay = decay[i];
      sweep_head(args, shape, h, sweep, x, y);
      write_row(args.out, t, column, shape.width, y);
    }
    if (!in_place) encode_state(stored, shape, scratch);
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
