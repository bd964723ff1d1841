// SPDX-License-Identifier: Apache-2.0
// Many tokens times prepared weights. Blocks of kRowBlock tokens are packed to k-major tiles; then each thread takes
// (panel, run of row tiles) pairs. A block of codes is decoded to f32 in the first-level cache and used for all tiles:
//
//        a: row tiles               decoded block         sums of a run of rows, [rows][kTileColumns]
//   [ K ][ kTileRows ] x tiles  x   [kDecodeBlock]    ->  partial: inside a group
//                                   [kTileColumns]        c:       sum over groups of scale * partial

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int64_t kRowBlock = 32 * kTileRows;
constexpr int64_t kDecodeBlock = 128;

// x[t, begin ...] as floats.
inline void decode_activations(const Operand& x, int64_t t, int64_t begin, int64_t count, float* out) {
  const int64_t at = t * x.values.stride[0] + begin;
  if (x.format.storage == DType::kF32) {
    __builtin_memcpy(out, static_cast<const float*>(x.values.data) + at, static_cast<size_t>(count) * 4);
  } else if (is_float_type(x.format.storage)) {
    for (int64_t i = 0; i < count; ++i) out[i] = load_float(x.values.data, x.format.storage, at + i);
  } else {
    const bool column = x.format.level[0].grain == Grain::kColumn;
    const TensorView& s = x.scales[0];
    for (int64_t i = 0; i < count; ++i) {
      const float scale = load_float(s.data, s.dtype, column ? begin + i : x.format.dynamic ? t : 0);
      out[i] = static_cast<float>(static_cast<const int8_t*>(x.values.data)[at + i]) * scale;
    }
  }
}

// Rows [t, t + rows), rows <= kTileRows, to a [K][kTileRows].
inline void pack_activations(const Operand& x, int64_t t, int rows, int64_t inner, float* a) {
  constexpr int64_t kBlock = 64;
  float block[kTileRows][kBlock];
  for (int64_t begin = 0; begin < inner; begin += kBlock) {
    const int64_t n = smaller(kBlock, inner - begin);
    for (int r = 0; r < rows; ++r) decode_activations(x, t + r, begin, n, block[r]);
    for (int64_t k = 0; k < n; ++k) {
      float* to = a + (begin + k) * kTileRows;
      for (int r = 0; r < rows; ++r) to[r] = block[r][k];
    }
  }
}

struct GemmScratch {
  int64_t row_floats, sum_floats, thread_floats;
  GemmScratch(int64_t tokens, int64_t inner) {
    const int64_t rows = round_up(smaller(tokens, kRowBlock), kTileRows);
    row_floats = round_up(rows * inner, 16);
    sum_floats = round_up(rows * kTileColumns + kLanes, 16);
    thread_floats = 2 * sum_floats + kDecodeBlock * kTileColumns;
  }
};

// Values [begin, begin + count) of a group to b [count][kTileColumns]. `begin` is a multiple of kDecodeBlock.
template <class Codes>
inline void decode_block(const char* codes, int64_t begin, int64_t count, float* b) {
  for (int64_t s = 0; s < ceil_div(count, Codes::kStep); ++s) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      typename Codes::Pack pack = Codes::load(step_vector<Codes>(codes, begin / Codes::kStep + s, v));
#pragma GCC unroll 16
      for (int j = 0; j < Codes::kStep; ++j) {
        store(b + (s * Codes::kStep + j) * kTileColumns + v * kLanes, Codes::next(pack));
      }
    }
  }
}

// A panel times row tiles [tile, end) of the packed block, whose first row is token t0.
template <class Codes>
void gemm_panel(const LinearArgs& args, const Panels<Codes>& panels, int64_t p, const float* a, int64_t t0,
                int64_t rows, Share tiles, float* thread_scratch, const GemmScratch& scratch) {
  float *partial = thread_scratch, *c = partial + scratch.sum_floats, *decoded = c + scratch.sum_floats;
  const char* at = panels.panel(args.prepared, p);
  const int64_t first_row = tiles.begin * kTileRows, last_row = smaller(rows, tiles.end * kTileRows);
  alignas(64) float scale[kTileColumns];
  if constexpr (Codes::kScaled) {
    for (int64_t i = 0; i < (last_row - first_row) * kTileColumns; i += kLanes) store(c + i, zero());
  }
  for (int64_t g = 0; g < panels.groups; ++g) {
    const int64_t length = panels.group_length(g);
    if constexpr (Codes::kScaled) {
      for (int v = 0; v < 2; ++v) store(scale + v * kLanes, panels.scales.of(at, g, v));
    }
    for (int64_t begin = 0; begin < length; begin += kDecodeBlock) {
      const int64_t count = smaller(kDecodeBlock, length - begin);
      const float* b = decoded;
      if constexpr (Codes::kBytes == 4 && !Codes::kScaled) {
        b = reinterpret_cast<const float*>(step_vector<Codes>(panels.codes(at, g), begin, 0));
      } else {
        decode_block<Codes>(panels.codes(at, g), begin, count, decoded);
      }
      const bool ends = Codes::kScaled && begin + count == length;
      for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
        const int64_t offset = (tile - tiles.begin) * kTileRows * kTileColumns;
        const TileSums sums{partial + offset, begin > 0, c + offset, ends ? scale : nullptr, kTileColumns};
        gemm_f32_tile_of(static_cast<int>(smaller<int64_t>(kTileRows, rows - tile * kTileRows)), count,
                         a + (tile * panels.inner + g * panels.group + begin) * kTileRows, kTileRows, b, kTileColumns,
                         sums);
      }
    }
  }
  const int64_t first_column = p * kTileColumns;
  store_tile(args, t0 + first_row, static_cast<int>(last_row - first_row), first_column,
             smaller<int64_t>(kTileColumns, panels.outputs - first_column), Codes::kScaled ? c : partial, kTileColumns);
}

template <class Codes>
void linear_gemm(const LinearArgs& args, const Panels<Codes>& panels, int64_t tokens, const Stream& stream) {
  const GemmScratch scratch(tokens, panels.inner);
  float *a = reinterpret_cast<float*>(stream.scratch), *sums = a + scratch.row_floats;
  for (int64_t t0 = 0; t0 < tokens; t0 += kRowBlock) {
    const int64_t rows = smaller(kRowBlock, tokens - t0), tiles = ceil_div(rows, kTileRows);
    const auto pack = [&](int index) {
      const Share share = share_of(tiles, index, stream.threads);
      for (int64_t i = share.begin; i < share.end; ++i) {
        const int n = static_cast<int>(smaller<int64_t>(kTileRows, rows - i * kTileRows));
        pack_activations(args.x, t0 + i * kTileRows, n, panels.inner, a + i * kTileRows * panels.inner);
      }
    };
    if (tiles > 1)
      run_parallel(stream, pack);
    else
      pack_activations(args.x, t0, static_cast<int>(rows), panels.inner, a);
    // Few panels: cut the rows too, so that all threads have work.
    const int64_t runs = larger<int64_t>(1, smaller(tiles, ceil_div(4 * stream.threads, panels.count)));
    run_parallel(stream, [&](int index) {
      const Share share = share_of(panels.count * runs, index, stream.threads);
      for (int64_t i = share.begin; i < share.end; ++i) {
        const int64_t run = i % runs;
        gemm_panel<Codes>(args, panels, i / runs, a, t0, rows, {tiles * run / runs, tiles * (run + 1) / runs},
                          sums + index * scratch.thread_floats, scratch);
      }
    });
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
