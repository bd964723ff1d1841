// SPDX-License-Identifier: Apache-2.0
// linear_w8a8: y = (sum of x codes * weight codes, exact) * (s_x * s_w[n]) + bias, s_x one a tensor or
// one a row. Two-level i4 weights are exact i8 operands by definition (method.md 2.7): those that linear_w4a8 does not take
// are expanded when they are prepared.
//
//   panel (kTileColumns channels, 64-byte aligned):
//     scale [kTileColumns] f32, start [kTileColumns] i32 (what sums start at)
//     codes [ceil(K / 4)][2 vectors][kLanes][4]        lanes are channels, four consecutive k in each
//   activations, a tile of up to kDotTileRows tokens: [ceil(K / 4)][rows][kDotWords] 32-bit words

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kDotTileRows = smaller(kMostTileRows, kDotRows);
constexpr int64_t kDotRowBlock = 32 * kDotTileRows;
constexpr int64_t kDotMaxInner = 131071;  // 2^31 / (128 * 128), less one

struct DotPanels {
  int64_t outputs, inner, steps, count, panel_bytes;
  explicit DotPanels(const Operand& w) : outputs(w.values.dim[0]), inner(w.values.dim[1]) {
    steps = ceil_div(inner, 4);
    count = ceil_div(outputs, kTileColumns);
    panel_bytes = round_up(kTileColumns * (8 + 4 * steps), 64);
  }
};
QUAMBA2_INLINE const float* dot_scale(const char* panel) { return reinterpret_cast<const float*>(panel); }
QUAMBA2_INLINE const int32_t* dot_start(const char* panel) {
  return reinterpret_cast<const int32_t*>(panel + kTileColumns * 4);
}
QUAMBA2_INLINE const int8_t* dot_codes(const char* panel, int64_t step) {
  return reinterpret_cast<const int8_t*>(panel + kTileColumns * (8 + 4 * step));
}

inline bool is_dot_activation(const Operand& x) {
  const Format& f = x.format;
  if (x.values.rank != 2 || f.storage != DType::kI8 || f.levels != 1) return false;
  return is_dynamic_row(f) || (f.level[0].grain == Grain::kTensor && is_float_type(f.level[0].dtype));
}

inline Verdict supports_linear_dot(const LinearArgs& args) {
  if (!is_dot_activation(args.x)) return {"needs i8 activations with one scale a tensor or row"};
  if (args.weight.values.dim[1] > kDotMaxInner) return {"needs K at most 131071"};
  return supports_linear_any(args);
}
inline Verdict supports_linear_w8a8(const LinearArgs& args) {
  const Format& f = args.weight.format;
  if (f.storage != DType::kI8 || f.levels != 1 || f.level[0].grain == Grain::kGroup) {
    return {"needs i8 weights with a scale a row or tensor"};
  }
  return supports_linear_dot(args);
}
inline Verdict supports_linear_expanded(const LinearArgs& args) {
  if (args.weight.format.levels != 2) return {"needs two levels of weight scales"};
  return supports_linear_dot(args);
}

inline size_t dot_prepared_bytes(const LinearArgs& args) {
  const DotPanels panels(args.weight);
  return static_cast<size_t>(panels.count * panels.panel_bytes);
}

inline void dot_prepare_row(const Operand& w, const DotPanels& panels, int64_t n, char* panel) {
  const int lane = static_cast<int>(n % kTileColumns);
  const float scale = weight_outer_scale(w, n);
  int32_t total = 0;
  constexpr int64_t kBlock = 256;
  int8_t block[kBlock];
  for (int64_t begin = 0; begin < panels.inner; begin += kBlock) {
    const int64_t count = smaller(kBlock, panels.inner - begin);
    weight_codes_row(w, n, begin, count, block);
    for (int64_t i = 0; i < count; ++i) {
      total += block[i];
      const_cast<int8_t*>(dot_codes(panel, (begin + i) / 4))[lane * 4 + i % 4] = block[i];
    }
  }
  const int32_t start = -kDotOffset * total;
  __builtin_memcpy(panel + lane * 4, &scale, 4);
  __builtin_memcpy(panel + (kTileColumns + lane) * 4, &start, 4);
}

// Every row of the weight by `prepare_row`, into its panel.
template <class Layout>
void prepare_rows(const LinearArgs& args, void* destination, const Stream& stream,
                  void (*prepare_row)(const Operand& w, const Layout& panels, int64_t n, char* panel)) {
  const Layout panels(args.weight);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(panels.count, index, stream.threads);
    for (int64_t p = share.begin; p < share.end; ++p) {
      char* panel = static_cast<char*>(destination) + p * panels.panel_bytes;
      const int64_t end = smaller(panels.outputs, (p + 1) * kTileColumns);
      for (int64_t n = p * kTileColumns; n < end; ++n) prepare_row(args.weight, panels, n, panel);
    }
  });
}

inline void dot_prepare(const LinearArgs& args, void* destination, const Stream& stream) {
  prepare_rows<DotPanels>(args, destination, stream, dot_prepare_row);
}

inline void dot_read_row(const Operand& table, const void* prepared, int32_t row, float* out) {
  const DotPanels panels(table);
  const char* panel = static_cast<const char*>(prepared) + row / kTileColumns * panels.panel_bytes;
  const int lane = row % kTileColumns;
  const float scale = dot_scale(panel)[lane];
  for (int64_t k = 0; k < panels.inner; ++k) {
    out[k] = static_cast<float>(dot_codes(panel, k / 4)[lane * 4 + k % 4]) * scale;
  }
}

// Rows [t, t + rows) to a.
inline void dot_pack_rows(const Operand& x, int64_t t, int rows, int64_t inner, uint32_t* a) {
  for (int r = 0; r < rows; ++r) {
    const int8_t* from = static_cast<const int8_t*>(x.values.data) + (t + r) * x.values.stride[0];
    uint32_t* to = a + r * kDotWords;
    const int64_t whole = inner / 4;
    for (int64_t s = 0; s < whole; ++s, to += rows * kDotWords) dot_pack(load_as<uint32_t>(from, s), to);
    if (whole * 4 < inner) {
      uint32_t last = 0;
      __builtin_memcpy(&last, from + whole * 4, static_cast<size_t>(inner - whole * 4));
      dot_pack(last, to);
    }
  }
}

// The scales of activations, one a token or one for all.
class DotScales {
 public:
  explicit DotScales(const Operand& x) : dynamic_(x.format.dynamic) {
    if (dynamic_)
      data_ = static_cast<const float*>(x.scales[0].data);
    else
      one_ = load_float(x.scales[0].data, x.scales[0].dtype, 0);
  }
  QUAMBA2_INLINE float of(int64_t token) const { return dynamic_ ? data_[token] : one_; }

 private:
  bool dynamic_;
  const float* data_ = nullptr;
  float one_ = 0.0f;
};

// sum[r][v] += products of `steps` steps of k; vector v is in panel v / 2, `stride` bytes apart.
template <int kRows, int kVectors>
QUAMBA2_INLINE void dot_steps(I32 (&sum)[kRows][kVectors], int64_t steps, const uint32_t* a, const int8_t* codes,
                              int64_t stride) {
  for (int64_t s = 0; s < steps; ++s, a += kRows * kDotWords, codes += 4 * kTileColumns) {
    DotWeights w[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) w[v] = dot_weights(codes + (v / 2) * stride + (v % 2) * 4 * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const DotInput x = dot_input(a + r * kDotWords);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = dot(sum[r][v], x, w[v]);
    }
  }
}

// A tile of kRows tokens by the kPanels panels from `at` on, the first of which is number p, to the output.
template <int kRows, int kPanels>
void dot_tile(const LinearArgs& args, const DotPanels& panels, const char* at, int64_t p, int64_t t, const uint32_t* a,
              const DotScales& x_scales) {
  constexpr int kVectors = 2 * kPanels;
  I32 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const I32 start = load(dot_start(at + (v / 2) * panels.panel_bytes) + (v % 2) * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sum[r][v] = start;
  }
  if constexpr (kDotPairs && kRows > 1)
    dot_pair_steps(sum, panels.steps, a, dot_codes(at, 0));
  else
    dot_steps(sum, panels.steps, a, dot_codes(at, 0), panels.panel_bytes);
  constexpr int64_t kWidth = kVectors * kLanes;
  alignas(64) float tile[kRows * kWidth + kLanes];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const float* scales = dot_scale(at + (v / 2) * panels.panel_bytes) + (v % 2) * kLanes;
    const F32 scale = load(scales);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const F32 x_scale = broadcast(x_scales.of(t + r));
      store(tile + r * kWidth + v * kLanes, mul(to_f32(sum[r][v]), mul(x_scale, scale)));
    }
  }
  const int64_t first_column = p * kTileColumns;
  store_tile(args, t, kRows, first_column, smaller<int64_t>(kPanels * kTileColumns, panels.outputs - first_column),
             tile, kWidth);
}

template <int kRows = kDotTileRows>
inline void dot_tile_of(int rows, const LinearArgs& args, const DotPanels& panels, const char* at, int64_t p, int64_t t,
                        const uint32_t* a, const DotScales& x_scales) {
  if (rows == kRows) return dot_tile<kRows, 1>(args, panels, at, p, t, a, x_scales);
  if constexpr (kRows > 1) dot_tile_of<kRows - 1>(rows, args, panels, at, p, t, a, x_scales);
}

// Panels as they were prepared.
class StoredPanels {
 public:
  StoredPanels(const LinearArgs& args, const DotPanels& panels)
      : prepared_(static_cast<const char*>(args.prepared)), bytes_(panels.panel_bytes) {}
  QUAMBA2_INLINE const char* panel(int64_t p) const { return prepared_ + p * bytes_; }

 private:
  const char* prepared_;
  int64_t bytes_;
};

inline void dot_gemv(const LinearArgs& args, const DotPanels& panels, const DotScales& x_scales, const Stream& stream) {
  const StoredPanels source(args, panels);
  uint32_t* a = reinterpret_cast<uint32_t*>(stream.scratch);
  dot_pack_rows(args.x, 0, 1, panels.inner, a);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(panels.count, index, stream.threads);
    int64_t p = share.begin;
    for (; p + kGemvPanels <= share.end; p += kGemvPanels)
      dot_tile<1, kGemvPanels>(args, panels, source.panel(p), p, 0, a, x_scales);
    for (; p < share.end; ++p) dot_tile<1, 1>(args, panels, source.panel(p), p, 0, a, x_scales);
  });
}

// Rows [t, t + rows) of a block to two runs of tiles (tiles_amx.inl.h), zeros where there are no rows.
template <class T>
void tile_pack_rows(const Operand& x, int64_t t, int64_t rows, int64_t inner, int8_t* a) {
  for (int64_t r = 0; r < T::kBlock; ++r) {
    const int8_t* from = static_cast<const int8_t*>(x.values.data) + (t + r) * x.values.stride[0];
    int8_t* to = a + r / T::kRows * inner * T::kRows + r % T::kRows * T::kDepth;
    for (int64_t k = 0; k < inner; k += T::kDepth, to += T::kBytes) {
      if (r < rows)
        __builtin_memcpy(to, from + k, T::kDepth);
      else
        __builtin_memset(to, 0, T::kDepth);
    }
  }
}

// A block of tokens times a panel, to the output. Both operands are signed: sums start at zero.
template <class T>
void tile_block(const LinearArgs& args, const DotPanels& panels, const char* at, int64_t p, int64_t t, int64_t rows,
                const int8_t* a, const DotScales& x_scales) {
  alignas(64) int32_t sums[T::kBlock * kTileColumns];
  alignas(64) float tile[T::kBlock * kTileColumns + kLanes];
  T::multiply(a, dot_codes(at, 0), panels.inner / T::kDepth, sums);
#pragma GCC unroll 2
  for (int v = 0; v < 2; ++v) {
    const F32 scale = load(dot_scale(at) + v * kLanes);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t i = r * kTileColumns + v * kLanes;
      store(tile + i, mul(to_f32(load(sums + i)), mul(broadcast(x_scales.of(t + r)), scale)));
    }
  }
  const int64_t first_column = p * kTileColumns;
  store_tile(args, t, static_cast<int>(rows), first_column,
             smaller<int64_t>(kTileColumns, panels.outputs - first_column), tile, kTileColumns);
}

// As dot_gemm, on matrix tiles.
template <class T, class SourceOf>
void tile_gemm(const LinearArgs& args, const DotPanels& panels, int64_t tokens, const DotScales& x_scales,
               const Stream& stream, const SourceOf& source_of) {
  auto* a = reinterpret_cast<int8_t*>(stream.scratch);
  const int64_t block_bytes = T::kBlock * panels.inner;
  for (int64_t t0 = 0; t0 < tokens; t0 += T::kRowBlock) {
    const int64_t rows = smaller(T::kRowBlock, tokens - t0), blocks = ceil_div(rows, T::kBlock);
    const auto rows_of = [&](int64_t block) { return smaller<int64_t>(T::kBlock, rows - block * T::kBlock); };
    run_parallel(stream, [&](int index) {
      const Share share = share_of(blocks, index, stream.threads);
      for (int64_t i = share.begin; i < share.end; ++i)
        tile_pack_rows<T>(args.x, t0 + i * T::kBlock, rows_of(i), panels.inner, a + i * block_bytes);
    });
    run_parallel(stream, [&](int index) {
      const Share share = share_of(panels.count * blocks, index, stream.threads);
      const typename T::Session session;
      auto source = source_of(index);
      for (int64_t i = share.begin; i < share.end; ++i) {
        const int64_t block = i % blocks, p = i / blocks;
        tile_block<T>(args, panels, source.panel(p), p, t0 + block * T::kBlock, rows_of(block), a + block * block_bytes,
                      x_scales);
      }
    });
  }
}

// Whether tiles are worth it: they have whole depths, and a block is not mostly zeros.
template <class T = Tiles>
QUAMBA2_INLINE bool takes_tiles(int64_t tokens, int64_t inner) {
  if constexpr (T::kHere) return tokens >= T::kBlock / 4 && inner % T::kDepth == 0;
  return false;
}

// Panels outside, row tiles inside: the packed tokens of a block stay in the second-level cache. `source_of(thread)` gives
// that thread's panels, which it walks upwards.
template <class SourceOf>
void dot_gemm(const LinearArgs& args, const DotPanels& panels, int64_t tokens, const DotScales& x_scales,
              const Stream& stream, const SourceOf& source_of) {
  if constexpr (Tiles::kHere) {
    if (takes_tiles(tokens, panels.inner)) {
      return tile_gemm<Tiles>(args, panels, tokens, x_scales, stream, source_of);
    }
  }
  uint32_t* a = reinterpret_cast<uint32_t*>(stream.scratch);
  const int64_t tile_words = panels.steps * kDotTileRows * kDotWords;
  for (int64_t t0 = 0; t0 < tokens; t0 += kDotRowBlock) {
    const int64_t rows = smaller(kDotRowBlock, tokens - t0), tiles = ceil_div(rows, kDotTileRows);
    const auto rows_of = [&](int64_t tile) {
      return static_cast<int>(smaller<int64_t>(kDotTileRows, rows - tile * kDotTileRows));
    };
    const auto pack = [&](int index) {
      const Share share = share_of(tiles, index, stream.threads);
      for (int64_t i = share.begin; i < share.end; ++i) {
        dot_pack_rows(args.x, t0 + i * kDotTileRows, rows_of(i), panels.inner, a + i * tile_words);
      }
    };
    if (tiles > 1)
      run_parallel(stream, pack);
    else
      dot_pack_rows(args.x, t0, rows_of(0), panels.inner, a);
    run_parallel(stream, [&](int index) {
      const Share share = share_of(panels.count * tiles, index, stream.threads);
      auto source = source_of(index);
      for (int64_t i = share.begin; i < share.end; ++i) {
        const int64_t tile = i % tiles, p = i / tiles;
        dot_tile_of(rows_of(tile), args, panels, source.panel(p), p, t0 + tile * kDotTileRows, a + tile * tile_words,
                    x_scales);
      }
    });
  }
}

inline void run_linear_dot(const LinearArgs& args, const Stream& stream) {
  const DotPanels panels(args.weight);
  const int64_t tokens = args.x.values.dim[0];
  const DotScales x_scales(args.x);
  if (tokens == 1)
    dot_gemv(args, panels, x_scales, stream);
  else
    dot_gemm(args, panels, tokens, x_scales, stream, [&](int) { return StoredPanels(args, panels); });
}

// Of packed tokens.
template <class T = Tiles>
int64_t dot_rows_bytes(const LinearArgs& args) {
  const int64_t tokens = args.x.values.dim[0], steps = ceil_div(args.weight.values.dim[1], 4);
  int64_t rows = tokens == 1 ? 1 : round_up(smaller(tokens, kDotRowBlock), kDotTileRows);
  if constexpr (T::kHere) {
    if (tokens > 1) rows = larger<int64_t>(rows, round_up(smaller(tokens, T::kRowBlock), T::kBlock));
  }
  return rows * steps * kDotWords * 4;
}
inline size_t dot_scratch_bytes(const LinearArgs& args, int32_t) { return static_cast<size_t>(dot_rows_bytes(args)); }

constexpr Kernel<LinearArgs> linear_dot_row(const char* name, Verdict (*supports)(const LinearArgs&)) {
  return {name, supports, run_linear_dot, dot_scratch_bytes, dot_prepared_bytes, dot_prepare, dot_read_row};
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
