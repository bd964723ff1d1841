// SPDX-License-Identifier: Apache-2.0
// linear_w6a8: y = s_x * (sum over groups of s_g[n] * (sum of x codes * weight codes, exact)) + bias, for INT6 weights with a
// scale a group and INT8 activations with a scale a tensor or row. Codes are multiplied as stored, 0 .. 63; -32 times the
// sum of the group's activations is where sums start. One token and many add groups in the same order.
//
//   panel (kTileColumns channels, 64-byte aligned):
//     scale [groups][kTileColumns]        as given
//     codes [K / 64][kTileColumns / kRuns][3] vectors of kRuns runs of 16 bytes; runs as in linear_w4a8
//         vector 0: byte j holds the low nibbles of k = j and 16 + j; vector 1: of 32 + j and 48 + j
//         vector 2: byte j holds the top two bits of k = j, 16 + j, 32 + j and 48 + j

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kSixCodes = 64;                       // k of a block
constexpr int kSixRows = kRegisters == 32 ? 6 : 2;  // tokens at once: four sums each
constexpr int kSixVectors = kTileColumns / kRuns;   // of a block
constexpr int64_t kSixBlockBytes = kTileColumns * 48;

struct SixPanels {
  int64_t outputs, inner, group, groups, count, scale_bytes, codes_offset, panel_bytes;
  DType scale_type;
  explicit SixPanels(const Operand& w)
      : outputs(w.values.dim[0]),
        inner(w.values.dim[1]),
        group(smaller<int64_t>(weight_group(w), inner)),
        scale_type(w.format.level[0].dtype) {
    groups = ceil_div(inner, group);
    count = ceil_div(outputs, kTileColumns);
    scale_bytes = scale_type == DType::kF32 ? 4 : 2;
    codes_offset = round_up(groups * kTileColumns * scale_bytes, 64);
    panel_bytes = codes_offset + inner / kSixCodes * kSixBlockBytes;
  }
  // Block b, vector v of it (v / 4 is the half panel), part 0 .. 2.
  QUAMBA2_INLINE const char* codes(const char* panel, int64_t b, int v, int part) const {
    return panel + codes_offset + b * kSixBlockBytes + (v * 3 + part) * (kRuns * 16);
  }
  QUAMBA2_INLINE F32 scale(const char* panel, int64_t g, int half) const {
    const int64_t i = g * kTileColumns + half * kLanes;
    if (scale_type == DType::kF32) return load(reinterpret_cast<const float*>(panel) + i);
    return load_f16(reinterpret_cast<const uint16_t*>(panel) + i);
  }
};

inline Verdict supports_linear_w6a8(const LinearArgs& args) {
  if (args.weight.format.storage != DType::kI6 || args.weight.format.levels != 1) {
    return {"needs i6 weights with one level of scales"};
  }
  const Verdict verdict = supports_linear_dot(args);
  if (verdict.refusal) return verdict;
  const int64_t inner = args.weight.values.dim[1];
  if (inner % kSixCodes != 0 || smaller<int64_t>(weight_group(args.weight), inner) % kSixCodes != 0) {
    return {"needs K and groups in multiples of 64"};
  }
  return verdict;
}

inline size_t six_prepared_bytes(const LinearArgs& args) {
  const SixPanels panels(args.weight);
  return static_cast<size_t>(panels.count * panels.panel_bytes);
}

// Where the run of a channel begins in a vector of its block.
QUAMBA2_INLINE char* six_run(const SixPanels& panels, char* panel, int channel, int64_t b, int part) {
  const int slot = slot_of(channel);
  return const_cast<char*>(panels.codes(panel, b, slot / kRuns, part)) + slot % kRuns * 16;
}

inline void six_prepare_row(const Operand& w, const SixPanels& panels, int64_t n, char* panel) {
  const int channel = static_cast<int>(n % kTileColumns);
  for (int64_t g = 0; g < panels.groups; ++g) {
    const float scale = weight_scale(w, n, g * panels.group);
    const uint16_t half = float_to_f16(scale);  // exact: it had that type
    char* to = panel + (g * kTileColumns + channel) * panels.scale_bytes;
    if (panels.scale_bytes == 4)
      __builtin_memcpy(to, &scale, 4);
    else
      __builtin_memcpy(to, &half, 2);
  }
  const uint8_t* row = weight_row_address(w.values, n);
  for (int64_t b = 0; b < panels.inner / kSixCodes; ++b) {
    char* part[3];
    for (int i = 0; i < 3; ++i) part[i] = six_run(panels, panel, channel, b, i);
    for (int j = 0; j < 16; ++j) {
      int code[4];
      for (int i = 0; i < 4; ++i) code[i] = weight_code(row, DType::kI6, b * kSixCodes + 16 * i + j) + 32;
      part[0][j] = static_cast<char>((code[0] & 15) | (code[1] & 15) << 4);
      part[1][j] = static_cast<char>((code[2] & 15) | (code[3] & 15) << 4);
      part[2][j] = static_cast<char>(code[0] >> 4 | code[1] >> 4 << 2 | code[2] >> 4 << 4 | code[3] >> 4 << 6);
    }
  }
}

inline void six_prepare(const LinearArgs& args, void* destination, const Stream& stream) {
  prepare_rows<SixPanels>(args, destination, stream, six_prepare_row);
}

inline void six_read_row(const Operand& table, const void* prepared, int32_t row, float* out) {
  const SixPanels panels(table);
  char* panel = const_cast<char*>(static_cast<const char*>(prepared)) + row / kTileColumns * panels.panel_bytes;
  const int channel = row % kTileColumns;
  for (int64_t k = 0; k < panels.inner; ++k) {
    const int64_t b = k / kSixCodes;
    const int i = static_cast<int>(k % kSixCodes / 16), j = static_cast<int>(k % 16);
    const int low = six_run(panels, panel, channel, b, i / 2)[j] >> (i % 2 * 4) & 15;
    const int high = six_run(panels, panel, channel, b, 2)[j] >> (2 * i) & 3;
    const float scale = load_float(panel, panels.scale_type, k / panels.group * kTileColumns + channel);
    out[k] = static_cast<float>((low | high << 4) - 32) * scale;
  }
}

// Tokens as linear_w6a8 reads them: codes in runs, and -32 times their sum in every group.
struct SixTokens {
  uint32_t* words;  // [T][K / 16][kDotWords][4]
  int32_t* starts;  // [T][groups]
  int64_t row_words, groups;
  SixTokens(const SixPanels& panels, int64_t tokens, char* scratch)
      : words(reinterpret_cast<uint32_t*>(scratch)), row_words(panels.inner / 4 * kDotWords), groups(panels.groups) {
    starts = reinterpret_cast<int32_t*>(words + tokens * row_words);
  }
  static int64_t bytes(const SixPanels& panels, int64_t tokens) {
    return tokens * (panels.inner * kDotWords + panels.groups * 4);
  }
};

inline void six_pack_row(const Operand& x, int64_t t, const SixPanels& panels, const SixTokens& tokens) {
  const int8_t* from = static_cast<const int8_t*>(x.values.data) + t * x.values.stride[0];
  uint32_t* to = tokens.words + t * tokens.row_words;
  for (int64_t i = 0; i < panels.inner / 4; ++i) {
    uint32_t words[kDotWords];
    dot_pack_signed(load_as<uint32_t>(from, i), words);
    for (int w = 0; w < kDotWords; ++w) to[(i / 4 * kDotWords + w) * 4 + i % 4] = words[w];
  }
  for (int64_t g = 0; g < panels.groups; ++g) {
    int32_t sum = 0;
    for (int64_t k = g * panels.group; k < smaller(panels.inner, (g + 1) * panels.group); ++k) sum += from[k];
    tokens.starts[t * panels.groups + g] = -32 * sum;
  }
}

// Codes of a vector of runs, four times 16 k.
QUAMBA2_INLINE void six_codes(const char* at, I32 (&code)[4]) {
  const int32_t* p = reinterpret_cast<const int32_t*>(at);
  const I32 low = load(p), next = load(p + kLanes), top = load(p + 2 * kLanes);
  const I32 nibbles = broadcast(0x0f0f0f0f), tops = broadcast(0x30303030);
  code[0] = bit_or(bit_and(low, nibbles), bit_and(shift_left<4>(top), tops));
  code[1] = bit_or(bit_and(shift_right<4>(low), nibbles), bit_and(shift_left<2>(top), tops));
  code[2] = bit_or(bit_and(next, nibbles), bit_and(top, tops));
  code[3] = bit_or(bit_and(shift_right<4>(next), nibbles), bit_and(shift_right<2>(top), tops));
}

// A half panel of a group times kRows tokens.
template <int kRows>
struct SixSums {
  I32 sum[kRows][4];

  QUAMBA2_INLINE void clear() {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[r][v] = broadcast(int32_t{0});
    }
  }
  // The codes of a block of kSixCodes; words of the first token.
  QUAMBA2_INLINE void add_block(const char* (&codes)[4], const uint32_t* words, int64_t row_words) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      I32 code[4];
      six_codes(codes[v], code);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const DotRun w = dot_run_of(code[i]);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const DotRun x = dot_run(words + r * row_words + i * 4 * kDotWords);
          sum[r][v] = dot_runs_unsigned(sum[r][v], x, w);
        }
      }
    }
  }
  QUAMBA2_INLINE F32 of_row(int r, int32_t start) {
    transpose_runs(sum[r]);
    return to_f32(add(add(add(sum[r][0], sum[r][1]), add(sum[r][2], sum[r][3])), broadcast(start)));
  }
};

// kHalves half panels from `first` on times kRows tokens from `t` on: total[h][r] is the sum over groups. A block is read
// in one piece where registers hold both halves, and asked for ahead.
template <int kRows, int kHalves>
QUAMBA2_INLINE void six_halves(const SixPanels& panels, const char* panel, int first, const SixTokens& tokens,
                               int64_t t, F32 (&total)[kHalves][kRows]) {
#pragma GCC unroll 2
  for (int h = 0; h < kHalves; ++h) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) total[h][r] = zero();
  }
  const uint32_t* words = tokens.words + t * tokens.row_words;
  for (int64_t g = 0; g < panels.groups; ++g) {
    SixSums<kRows> sums[kHalves];
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) sums[h].clear();
    const int64_t end = smaller(panels.inner, (g + 1) * panels.group) / kSixCodes;
    for (int64_t b = g * panels.group / kSixCodes; b < end; ++b) {
      if constexpr (kRows == 1) {
        constexpr int kBytes = kHalves * 12 * kLanes * 4;
#pragma GCC unroll 24
        for (int line = 0; line < kBytes / 64; ++line)
          __builtin_prefetch(panels.codes(panel, b, first * 4, 0) + kPrefetchWords * 4 + line * 64, 0, 2);
      }
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
        const char* codes[4];
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) codes[v] = panels.codes(panel, b, (first + h) * 4 + v, 0);
        sums[h].add_block(codes, words + 16 * b * kDotWords, tokens.row_words);
      }
    }
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) {
      const F32 scale = panels.scale(panel, g, first + h);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
        total[h][r] = fma(scale, sums[h].of_row(r, tokens.starts[(t + r) * tokens.groups + g]), total[h][r]);
    }
  }
}

template <int kRows>
void six_tile(const LinearArgs& args, const SixPanels& panels, int64_t p, const SixTokens& tokens, int64_t t,
              const DotScales& x_scales) {
  constexpr int kHalves = kRows == 1 && kRegisters == 32 ? 2 : 1;
  const char* panel = static_cast<const char*>(args.prepared) + p * panels.panel_bytes;
  alignas(64) float tile[kRows * kTileColumns + kLanes];
  for (int first = 0; first < 2; first += kHalves) {
    F32 total[kHalves][kRows];
    six_halves<kRows, kHalves>(panels, panel, first, tokens, t, total);
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        store(tile + r * kTileColumns + (first + h) * kLanes, mul(total[h][r], broadcast(x_scales.of(t + r))));
      }
    }
  }
  const int64_t first_column = p * kTileColumns;
  store_tile(args, t, kRows, first_column, smaller<int64_t>(kTileColumns, panels.outputs - first_column), tile,
             kTileColumns);
}

template <int kRows = kSixRows>
inline void six_tile_of(int64_t rows, const LinearArgs& args, const SixPanels& panels, int64_t p,
                        const SixTokens& tokens, int64_t t, const DotScales& x_scales) {
  if (rows >= kRows) return six_tile<kRows>(args, panels, p, tokens, t, x_scales);
  if constexpr (kRows > 1) six_tile_of<kRows - 1>(rows, args, panels, p, tokens, t, x_scales);
}

inline void run_linear_w6a8(const LinearArgs& args, const Stream& stream) {
  const SixPanels panels(args.weight);
  const int64_t count = args.x.values.dim[0];
  const DotScales x_scales(args.x);
  const SixTokens tokens(panels, count, static_cast<char*>(stream.scratch));
  const auto pack = [&](int index) {
    const Share share = share_of(count, index, stream.threads);
    for (int64_t t = share.begin; t < share.end; ++t) six_pack_row(args.x, t, panels, tokens);
  };
  if (count > 1)
    run_parallel(stream, pack);
  else
    six_pack_row(args.x, 0, panels, tokens);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(panels.count, index, stream.threads);
    for (int64_t p = share.begin; p < share.end; ++p) {
      for (int64_t t = 0; t < count; t += kSixRows) six_tile_of(count - t, args, panels, p, tokens, t, x_scales);
    }
  });
}

inline size_t six_scratch_bytes(const LinearArgs& args, int32_t) {
  return static_cast<size_t>(SixTokens::bytes(SixPanels(args.weight), args.x.values.dim[0]));
}

constexpr Kernel<LinearArgs> kLinearW6A8Row = {"linear_w6a8_" QUAMBA2_ISA_NAME,
                                               supports_linear_w6a8,
                                               run_linear_w6a8,
                                               six_scratch_bytes,
                                               six_prepared_bytes,
                                               six_prepare,
                                               six_read_row};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
