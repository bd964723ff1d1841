// SPDX-License-Identifier: Apache-2.0
// linear_w4a8: as linear_w8a8, over weights that stay packed in memory. A two-level INT4 weight is the INT8
// rint(code * s_g / s_c) by definition (method.md 2.7); a group names the table of its sixteen values (code_tables.h), and
// a byte shuffle looks 16 codes up at once. Sums are exact integers: any order gives the same bits.
//
//   panel (kTileColumns channels, 64-byte aligned):
//     scale [kTileColumns] f32, start [kTileColumns] i32      as in linear_w8a8
//     tables [groups][kTileColumns] u16                       by slot
//     codes [K / 32][kTileColumns] runs of 16 bytes           by slot; byte j holds k = j in the low, k = 16 + j in the high
//                                                             nibble
//   A vector is kRuns runs. Channel c of a half panel (kLanes channels) is run c / 4 of vector c % 4, so that a transposition
//   inside runs brings four consecutive k of all channels into one vector, as linear_w8a8 has them.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kRunCodes = 32;                 // k of a run
constexpr int64_t kPrefetchWords = 8192 / 4;  // ahead of what is read

struct PackedPanels {
  int64_t outputs, inner, group, groups, blocks, count, tables_offset, codes_offset, panel_bytes;
  const int8_t* values = code_tables();  // asked for once: a call among a group's vectors would spill all of them
  explicit PackedPanels(const Operand& w) : outputs(w.values.dim[0]), inner(w.values.dim[1]), group(weight_group(w)) {
    groups = ceil_div(inner, group);
    blocks = inner / kRunCodes;
    count = ceil_div(outputs, kTileColumns);
    tables_offset = kTileColumns * 8;
    codes_offset = round_up(tables_offset + groups * kTileColumns * 2, 64);
    panel_bytes = codes_offset + round_up(blocks * kTileColumns * 16, 64);
  }
  const uint16_t* tables(const char* panel, int64_t g) const {
    return reinterpret_cast<const uint16_t*>(panel + tables_offset) + g * kTileColumns;
  }
  // The tables of kRuns runs, side by side.
  QUAMBA2_INLINE I32 load_tables(const char* panel, int64_t g, int slot) const {
    return load_runs(values, tables(panel, g) + slot);
  }
  QUAMBA2_INLINE const int32_t* codes(const char* panel, int64_t block) const {
    return reinterpret_cast<const int32_t*>(panel + codes_offset + block * kTileColumns * 16);
  }
};

// Where the run of a channel lies among those of its panel.
QUAMBA2_INLINE int slot_of(int channel) {
  const int half = channel / kLanes, c = channel % kLanes;
  return half * kLanes + (c % 4) * kRuns + c / 4;
}

inline Verdict supports_linear_w4a8(const LinearArgs& args) {
  const Verdict verdict = supports_linear_expanded(args);
  if (verdict.refusal) return verdict;
  if (args.weight.values.dim[1] % kRunCodes != 0 || weight_group(args.weight) % kRunCodes != 0) {
    return {"needs K and groups in multiples of 32"};
  }
  return verdict;
}

inline size_t packed_prepared_bytes(const LinearArgs& args) {
  const PackedPanels panels(args.weight);
  return static_cast<size_t>(panels.count * panels.panel_bytes);
}

// The values that the codes of a group of row n decode to, by the same roundings as weight_codes_row.
inline void decode_table(const Operand& w, int64_t n, int64_t k, int8_t (&table)[16]) {
  const float outer = weight_outer_scale(w, n), scale = weight_scale(w, n, k);
  for (int c = 0; c < 16; c += kLanes) {
    float ratio[kLanes];
    for (int i = 0; i < kLanes; ++i) ratio[i] = outer == 0.0f ? 0.0f : static_cast<float>(c + i - 8) * scale / outer;
    store_i8(table + c, load(ratio));
  }
}

// 32 codes of a row, packed two by two as in files, to a run; the sum of their values.
inline int32_t pack_run(const uint8_t* codes, const int8_t (&table)[16], char* run) {
  int32_t total = 0;
  for (int i = 0; i < 8; ++i) {  // k = 2i, 2i + 1, 16 + 2i and 17 + 2i
    const int low = codes[i], high = codes[i + 8];
    run[2 * i] = static_cast<char>((low & 15) | (high & 15) << 4);
    run[2 * i + 1] = static_cast<char>(low >> 4 | (high & 0xf0));
    total += table[low & 15] + table[low >> 4] + table[high & 15] + table[high >> 4];
  }
  return total;
}

inline void packed_prepare_row(const Operand& w, const PackedPanels& panels, int64_t n, char* panel) {
  const int channel = static_cast<int>(n % kTileColumns), slot = slot_of(channel);
  const uint8_t* row = weight_row_address(w.values, n);
  uint16_t* ids = const_cast<uint16_t*>(panels.tables(panel, 0));
  int32_t total = 0;
  for (int64_t g = 0; g < panels.groups; ++g) {
    int8_t table[16];
    decode_table(w, n, g * panels.group, table);
    ids[g * kTileColumns + slot] = code_table_id(table);
    for (int64_t k = g * panels.group; k < smaller(panels.inner, (g + 1) * panels.group); k += kRunCodes) {
      char* run = panel + panels.codes_offset + (k / kRunCodes * kTileColumns + slot) * 16;
      total += pack_run(row + k / 2, table, run);
    }
  }
  const float scale = weight_outer_scale(w, n);
  const int32_t start = -kDotOffset * total;
  __builtin_memcpy(panel + channel * 4, &scale, 4);
  __builtin_memcpy(panel + (kTileColumns + channel) * 4, &start, 4);
}

inline void packed_prepare(const LinearArgs& args, void* destination, const Stream& stream) {
  prepare_rows<PackedPanels>(args, destination, stream, packed_prepare_row);
}

inline void packed_read_row(const Operand& table, const void* prepared, int32_t row, float* out) {
  const PackedPanels panels(table);
  const char* panel = static_cast<const char*>(prepared) + row / kTileColumns * panels.panel_bytes;
  const int channel = row % kTileColumns, slot = slot_of(channel);
  const float scale = dot_scale(panel)[channel];
  for (int64_t k = 0; k < panels.inner; ++k) {
    const int8_t* values = panels.values + 16 * panels.tables(panel, k / panels.group)[slot];
    const char* run = reinterpret_cast<const char*>(panels.codes(panel, k / kRunCodes)) + slot * 16;
    const int code = (run[k % 16] >> (k % kRunCodes / 16 * 4)) & 15;
    out[k] = static_cast<float>(values[code]) * scale;
  }
}

// The two vectors of values of a vector of runs: k 0 .. 15, and 16 .. 31.
struct RunValues {
  I32 low, high;
};
QUAMBA2_INLINE RunValues look_up_runs(I32 table, I32 codes) {
  const I32 mask = broadcast(0x0f0f0f0f);
  return {look_up(table, bit_and(codes, mask)), look_up(table, bit_and(shift_right<4>(codes), mask))};
}

// A panel in the form of linear_w8a8, at `to`.
inline void expand_panel(const PackedPanels& panels, const char* panel, char* to) {
  __builtin_memcpy(to, panel, kTileColumns * 8);
  for (int64_t g = 0; g < panels.groups; ++g) {
    const int64_t end = smaller(panels.blocks, (g + 1) * panels.group / kRunCodes);
    for (int half = 0; half < 2; ++half) {
      I32 table[4];
      for (int v = 0; v < 4; ++v) table[v] = panels.load_tables(panel, g, half * kLanes + v * kRuns);
      for (int64_t b = g * panels.group / kRunCodes; b < end; ++b) {
#pragma GCC unroll 8
        for (int line = 0; line < 4 * kLanes * 4 / 64; ++line)  // as in packed_sums
          __builtin_prefetch(panels.codes(panel, b) + half * 4 * kLanes + kPrefetchWords + line * 16, 0, 2);
        I32 low[4], high[4];
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const RunValues values = look_up_runs(table[v], load(panels.codes(panel, b) + (half * 4 + v) * kLanes));
          low[v] = values.low;
          high[v] = values.high;
        }
        transpose_runs(low);
        transpose_runs(high);
        int8_t* out = const_cast<int8_t*>(dot_codes(to, 8 * b)) + half * 4 * kLanes;
#pragma GCC unroll 4
        for (int w = 0; w < 4; ++w) {
          store(reinterpret_cast<int32_t*>(out + w * 4 * kTileColumns), low[w]);
          store(reinterpret_cast<int32_t*>(out + (4 + w) * 4 * kTileColumns), high[w]);
        }
      }
    }
  }
}

// Token t, packed to a [K / 16][kDotWords][4].
inline void packed_pack_row(const Operand& x, int64_t t, int64_t inner, uint32_t* a) {
  const int8_t* from = static_cast<const int8_t*>(x.values.data) + t * x.values.stride[0];
  for (int64_t i = 0; i < inner / 4; ++i) {
    uint32_t words[kDotWords];
    dot_pack(load_as<uint32_t>(from, i), words);
    for (int w = 0; w < kDotWords; ++w) a[(i / 4 * kDotWords + w) * 4 + i % 4] = words[w];
  }
}

// kHalves half panels times kTokens tokens, `words` words of `a` apart: sums of channels, in order, with their start. Codes are
// looked up once for all tokens.
template <int kHalves, int kTokens>
QUAMBA2_INLINE void packed_sums(const PackedPanels& panels, const char* panel, int first_half, const uint32_t* a,
                                int64_t words, I32 (&total)[kTokens][kHalves]) {
  I32 sum[kTokens][kHalves][4];
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < 4 * kHalves; ++v) sum[t][v / 4][v % 4] = broadcast(int32_t{0});
  }
  for (int64_t g = 0; g < panels.groups; ++g) {
    I32 table[kHalves][4];
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) table[h][v] = panels.load_tables(panel, g, (first_half + h) * kLanes + v * kRuns);
    }
    const int64_t end = smaller(panels.blocks, (g + 1) * panels.group / kRunCodes);
    for (int64_t b = g * panels.group / kRunCodes; b < end; ++b) {
      DotRun x_low[kTokens], x_high[kTokens];
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        x_low[t] = dot_run(a + t * words + 8 * b * kDotWords);
        x_high[t] = dot_run(a + t * words + (8 * b + 4) * kDotWords);
      }
      const int32_t* codes = panels.codes(panel, b) + first_half * 4 * kLanes;
#pragma GCC unroll 8
      for (int line = 0; line < kHalves * 4 * kLanes * 4 / 64; ++line)  // memory is far: the hardware stops at pages
        __builtin_prefetch(codes + kPrefetchWords + line * 16, 0, 2);
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const RunValues w = look_up_runs(table[h][v], load(codes + (h * 4 + v) * kLanes));
          const DotRun low = dot_run_of(w.low), high = dot_run_of(w.high);
#pragma GCC unroll 4
          for (int t = 0; t < kTokens; ++t) {
            sum[t][h][v] = dot_runs(sum[t][h][v], x_low[t], low);
            sum[t][h][v] = dot_runs(sum[t][h][v], x_high[t], high);
          }
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) {
      I32(&s)[4] = sum[t][h];
      transpose_runs(s);
      const I32 start = load(dot_start(panel) + (first_half + h) * kLanes);
      total[t][h] = add(add(add(s[0], s[1]), add(s[2], s[3])), start);
    }
  }
}

// Tokens [t, t + kTokens) times panel p, to the output.
template <int kTokens>
inline void packed_tile(const LinearArgs& args, const PackedPanels& panels, int64_t p, int64_t t, const uint32_t* a,
                        int64_t words, const DotScales& x_scales) {
  // Tables take four registers a half, sums as many a half and token.
  constexpr int kHalves = kTokens <= 2 && kRegisters == 32 ? 2 : 1;
  const char* panel = static_cast<const char*>(args.prepared) + p * panels.panel_bytes;
  alignas(64) float tile[kTokens * kTileColumns + kLanes];
  for (int first = 0; first < 2; first += kHalves) {
    I32 total[kTokens][kHalves];
    packed_sums<kHalves, kTokens>(panels, panel, first, a + t * words, words, total);
#pragma GCC unroll 4
    for (int i = 0; i < kTokens; ++i) {
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
        const F32 scale = mul(broadcast(x_scales.of(t + i)), load(dot_scale(panel) + (first + h) * kLanes));
        store(tile + i * kTileColumns + (first + h) * kLanes, mul(to_f32(total[i][h]), scale));
      }
    }
  }
  const int64_t first_column = p * kTileColumns;
  store_tile(args, t, kTokens, first_column, smaller<int64_t>(kTileColumns, panels.outputs - first_column), tile,
             kTileColumns);
}

// Up to so many tokens look codes up as they go, kPackedTokens at a time; more are worth a panel that is expanded for all
// (measured where the two cross).
constexpr int kPackedTokens = kRegisters == 32 ? 4 : kDotWords == 1 ? 2 : 1;
constexpr int64_t kMostPackedTokens = kPackedTokens == 1 ? 1 : kDotIsOne && !Tiles::kHere ? 24 : 8;

inline void packed_few_tokens(const LinearArgs& args, const PackedPanels& panels, int64_t tokens,
                              const DotScales& x_scales, const Stream& stream) {
  uint32_t* a = reinterpret_cast<uint32_t*>(stream.scratch);
  const int64_t words = panels.inner / 4 * kDotWords;
  for (int64_t t = 0; t < tokens; ++t) packed_pack_row(args.x, t, panels.inner, a + t * words);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(panels.count, index, stream.threads);
    for (int64_t p = share.begin; p < share.end; ++p) {
      int64_t t = 0;
      for (; t + kPackedTokens <= tokens; t += kPackedTokens)
        packed_tile<kPackedTokens>(args, panels, p, t, a, words, x_scales);
      for (; t + 2 <= tokens; t += 2) packed_tile<2>(args, panels, p, t, a, words, x_scales);
      if (t < tokens) packed_tile<1>(args, panels, p, t, a, words, x_scales);
    }
  });
}

// Expands panels one at a time, each once for all tiles of a block of rows.
class ExpandedPanels {
 public:
  ExpandedPanels(const LinearArgs& args, const PackedPanels& panels, char* scratch)
      : prepared_(static_cast<const char*>(args.prepared)), panels_(panels), scratch_(scratch) {}
  const char* panel(int64_t p) {
    if (p != held_) expand_panel(panels_, prepared_ + p * panels_.panel_bytes, scratch_);
    held_ = p;
    return scratch_;
  }

 private:
  const char* prepared_;
  const PackedPanels& panels_;
  char* scratch_;
  int64_t held_ = -1;
};

inline void run_linear_w4a8(const LinearArgs& args, const Stream& stream) {
  const PackedPanels panels(args.weight);
  const int64_t tokens = args.x.values.dim[0];
  const DotScales x_scales(args.x);
  if (tokens <= kMostPackedTokens) return packed_few_tokens(args, panels, tokens, x_scales, stream);
  const DotPanels expanded(args.weight);
  const int64_t rows_bytes = round_up(dot_rows_bytes(args), 64);
  dot_gemm(args, expanded, tokens, x_scales, stream, [&](int index) {
    return ExpandedPanels(args, panels, static_cast<char*>(stream.scratch) + rows_bytes + index * expanded.panel_bytes);
  });
}

inline size_t packed_scratch_bytes(const LinearArgs& args, int32_t threads) {
  const int64_t rows = round_up(dot_rows_bytes(args), 64);
  if (args.x.values.dim[0] == 1) return static_cast<size_t>(rows);
  return static_cast<size_t>(rows + threads * DotPanels(args.weight).panel_bytes);
}

constexpr Kernel<LinearArgs> kLinearW4A8Row = {
    "linear_w4a8_" QUAMBA2_ISA_NAME, supports_linear_w4a8, run_linear_w4a8, packed_scratch_bytes,
    packed_prepared_bytes,           packed_prepare,       packed_read_row};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
