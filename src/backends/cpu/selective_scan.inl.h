// SPDX-License-Identifier: Apache-2.0
// selective_scan (ops/selective_scan.h), token by token. Lanes are channels; the states of kLanes channels stay in the
// first-level cache from the beginning of a segment to its end:
//
//             channels ->
//   state n   | s s s s |   decay = exp(delta * a), s = decay * s + b_n * (delta * x), y += c_n * s
//         :   | s s s s |   for each token, then for each n: one order of sums, so that T tokens at once give the same
//         N   | s s s s |   bits as T calls.

namespace quamba2::QUAMBA2_ISA {
namespace {

// Prepared: a = -exp(a_log) as [channels / kLanes][N][kLanes].
inline size_t selective_scan_prepared_bytes(const SelectiveScanArgs& a) {
  return static_cast<size_t>(round_up(a.a_log.dim[0], kLanes) * a.a_log.dim[1]) * sizeof(float);
}
inline void prepare_selective_scan(const SelectiveScanArgs& a, void* destination, const Stream&) {
  const int64_t width = a.a_log.dim[0], states = a.a_log.dim[1];
  float* out = static_cast<float*>(destination);
  for (int64_t e = 0; e < width; e += kLanes) {
    for (int64_t n = 0; n < states; ++n, out += kLanes) {
      for (int64_t i = 0; i < kLanes && e + i < width; ++i)
        out[i] = load_as<float>(a.a_log.data, (e + i) * a.a_log.stride[0] + n);
      store(out, sub(zero(), exp(load(out))));
    }
  }
}

inline Verdict supports_selective_scan(const SelectiveScanArgs& a) {
  return {first_reason(refuse_rows(a.x), refuse_rows(a.dt), refuse_rows(a.b), refuse_rows(a.c), refuse_state(a.state),
                       refuse_rows(a.out), refuse_parameters(a.a_log), refuse_parameters(a.d),
                       refuse_parameters(a.dt_bias))};
}

// Scratch a thread: the states of one block of channels, b and c of one token, and an output vector.
QUAMBA2_INLINE int64_t selective_scan_floats(int64_t states) { return states * kLanes + 2 * padded(states) + 16; }
inline size_t selective_scan_scratch(const SelectiveScanArgs& a, int32_t threads) {
  return static_cast<size_t>(round_up(selective_scan_floats(a.a_log.dim[1]), 16) * threads) * sizeof(float);
}

// Channels [e, e + n) of one row.
QUAMBA2_INLINE F32 read_lanes(const Operand& x, int64_t row, int64_t e, int n) {
  const void* p = matrix_row(x.values, row);
  const F32 v = n == kLanes ? load_any(p, x.values.dtype, e) : load_any_n(p, x.values.dtype, e, n);
  return x.format.levels == 0 ? v : mul(v, scale_at(scales_of(x), e, n));
}
QUAMBA2_INLINE void write_lanes(const Operand& out, int64_t row, int64_t e, int n, F32 v, float* buffer) {
  if (out.values.dtype == DType::kF32) {
    float* target = static_cast<float*>(matrix_row(out.values, row)) + e;
    return n == kLanes ? store(target, v) : store_n(target, v, n);
  }
  store(buffer, v);
  encode_row(matrix_row(out.values, row), out.values.dtype, scales_of(out), e, n, buffer);
}

// Parameters of a block of channels.
struct ScanBlock {
  const float* a;  // [N][kLanes]
  F32 d, dt_bias;
  int64_t first, states;
  int channels;
};

inline void scan_block_tokens(const SelectiveScanArgs& args, const ScanBlock& block, const Segment& seg, float* state,
                              float* buffer) {
  const int64_t states = block.states, e = block.first;
  float *b_buffer = buffer, *c_buffer = buffer + padded(states), *y_buffer = buffer + 2 * padded(states);
  for (int64_t t = seg.begin; t < seg.begin + seg.length; ++t) {
    const float* b = read_row(args.b, t, 0, states, b_buffer);
    const float* c = read_row(args.c, t, 0, states, c_buffer);
    const F32 x = read_lanes(args.x, t, e, block.channels);
    const F32 delta = softplus(add(read_lanes(args.dt, t, e, block.channels), block.dt_bias));
    const F32 input = mul(delta, x);
    F32 y = mul(block.d, x);
    for (int64_t n = 0; n < states; ++n) {
      const F32 decay = exp(mul(delta, load(block.a + n * kLanes)));
      const F32 s = fma(decay, load(state + n * kLanes), mul(broadcast(b[n]), input));
      store(state + n * kLanes, s);
      y = fma(broadcast(c[n]), s, y);
    }
    write_lanes(args.out, t, e, block.channels, y, y_buffer);
  }
}

// Where the scales of a block of channels are: as in HeadState.
struct BlockScales {
  Scales scales;
  int64_t step = 0;
  float* computed = nullptr;

  QUAMBA2_INLINE F32 of_row(int64_t k, int64_t e, int n) const {
    return scale_at({scales.data + (computed != nullptr ? k / kStateBlock : k) * step, scales.column}, e, n);
  }
};
inline BlockScales block_scales(const SelectiveScanArgs& args, const ScanBlock& block, int32_t slot) {
  const TensorView& s = args.state.scales[0];
  BlockScales out{scales_of(args.state)};
  if (!out.scales.column) return out;
  if (args.state.format.dynamic) {
    out.scales.data = out.computed = static_cast<float*>(s.data) + slot * static_cast<int64_t>(s.stride[0]);
    out.computed += block.first;
    out.step = s.stride[1];
  } else if (s.rank == 2) {
    out.step = s.stride[0];
  }
  return out;
}

// Rows of a block of channels: of the state, and in f32.
struct BlockRows {
  char* first;
  int64_t row_bytes;
  DType dtype;
};
inline void decode_block(const BlockRows& rows, const BlockScales& s, const ScanBlock& block, float* values) {
  const int64_t e = block.first;
  const int n = block.channels;
  for (int64_t k = 0; k < block.states; ++k) {
    const char* row = rows.first + k * rows.row_bytes;
    const F32 kept = n == kLanes ? load_any(row, rows.dtype, e) : load_any_n(row, rows.dtype, e, n);
    store(values + k * kLanes, s.scales.data == nullptr ? kept : mul(kept, s.of_row(k, e, n)));
  }
}
inline void encode_block(const BlockRows& rows, const BlockScales& s, const ScanBlock& block, const float* values) {
  const int64_t e = block.first;
  const int n = block.channels;
  ChannelEncoder channels;
  Encoder encoder;
  for (int64_t k = 0; k < block.states; ++k) {
    const F32 value = load(values + k * kLanes);
    F32 code = value;
    if (s.computed != nullptr) {
      if (k % kStateBlock == 0) {
        F32 largest = zero();
        const int64_t end = smaller(k + kStateBlock, block.states);
        for (int64_t i = k; i < end; ++i) largest = max(abs(load(values + i * kLanes)), largest);
        channels.begin_block(largest);
        float* to = s.computed + k / kStateBlock * s.step;
        n == kLanes ? store(to, channels.scale) : store_n(to, channels.scale, n);
      }
      code = channels.code(value);
    } else if (s.scales.data != nullptr) {
      if (k == 0 || s.step != 0) encoder = encoder_for(s.of_row(k, e, n));
      code = code_of(value, encoder);
    }
    char* row = rows.first + k * rows.row_bytes;
    n == kLanes ? store_any(row, rows.dtype, e, code) : store_any_n(row, rows.dtype, e, code, n);
  }
}

// Channels [block.first, + block.channels) of one segment.
inline void scan_block(const SelectiveScanArgs& args, const ScanBlock& block, const Segment& seg, float* scratch) {
  const TensorView& v = args.state.values;
  const int64_t size = bytes_of(v.dtype);
  const BlockScales scales = block_scales(args, block, seg.slot);
  const BlockRows rows = {static_cast<char*>(v.data) + seg.slot * static_cast<int64_t>(v.stride[0]) * size,
                          v.stride[1] * size, v.dtype};
  decode_block(rows, scales, block, scratch);
  scan_block_tokens(args, block, seg, scratch, scratch + block.states * kLanes);
  encode_block(rows, scales, block, scratch);
}

inline void run_selective_scan(const SelectiveScanArgs& args, const Stream& stream) {
  const int64_t width = args.a_log.dim[0], states = args.a_log.dim[1], blocks = ceil_div(width, kLanes);
  const int64_t floats = round_up(selective_scan_floats(states), 16);
  const float *d = static_cast<const float*>(args.d.data), *bias = static_cast<const float*>(args.dt_bias.data);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(blocks, index, stream.threads);
    float* scratch = reinterpret_cast<float*>(stream.scratch) + floats * index;
    for (int32_t i = 0; i < args.segment_count; ++i) {
      for (int64_t k = share.begin; k < share.end; ++k) {
        const int64_t e = k * kLanes;
        const int n = static_cast<int>(smaller<int64_t>(kLanes, width - e));
        const ScanBlock block = {static_cast<const float*>(args.prepared) + e * states,
                                 parameter(d, e, n, 0.0f),
                                 parameter(bias, e, n, 0.0f),
                                 e,
                                 states,
                                 n};
        for_state_runs(args.segments[i], args.state_every, args.state.values.dtype,
                       [&](const Segment& run) { scan_block(args, block, run, scratch); });
      }
    }
  });
}

constexpr Kernel<SelectiveScanArgs> kSelectiveScanRows[] = {
    {"selective_scan_" QUAMBA2_ISA_NAME, supports_selective_scan, run_selective_scan, selective_scan_scratch,
     selective_scan_prepared_bytes, prepare_selective_scan}};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
