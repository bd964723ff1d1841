// SPDX-License-Identifier: Apache-2.0
// A few tokens times prepared weights: bound by reading and decoding them. kPanels panels are walked together, so that
// enough sums and enough streams of memory are in flight; each output still has one accumulator a group.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kGemvPanels = kRegisters == 32 ? 4 : 2;
// Formats that hold several registers a vector walk fewer.
template <class Codes>
constexpr int kGemvPanelsOf = Codes::kBytes > 4 ? kGemvPanels / 2 : kGemvPanels;
// Up to so many tokens are multiplied while weights are decoded; more are worth decoding to memory first (linear_gemm).
constexpr int kGemvRows = smaller(kMostTileRows - 1, kRegisters == 32 ? 6 : 3);

// sum[r][v] += x[r * ldx + j] * value j of a step, j < count; vector v is in panel v / 2, `stride` bytes apart. All vectors
// of a step are loaded first, and sums take turns: a chain of additions to one of them would wait for each.
template <class Codes, int kRows, int kPanels>
QUAMBA2_INLINE void gemv_step(F32 (&sum)[kRows][2 * kPanels], int count, const float* x, int64_t ldx, const char* codes,
                              int64_t step, int64_t stride) {
  typename Codes::Pack pack[2 * kPanels];
#pragma GCC unroll 8
  for (int v = 0; v < 2 * kPanels; ++v)
    pack[v] = Codes::load(step_vector<Codes>(codes + (v / 2) * stride, step, v % 2));
#pragma GCC unroll 16
  for (int j = 0; j < Codes::kStep; ++j) {
    if (j >= count) break;
    F32 value[2 * kPanels];
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kPanels; ++v) value[v] = Codes::next(pack[v]);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F32 input = broadcast(x[r * ldx + j]);
#pragma GCC unroll 8
      for (int v = 0; v < 2 * kPanels; ++v) sum[r][v] = fma(input, value[v], sum[r][v]);
    }
  }
}

// Streams of a few kilobytes end before the hardware has caught up with them: the same step of the panels that come next
// is asked for by hand. Wider panels than the second-level cache holds are long streams, and are left to the hardware.
template <class Codes, int kPanels>
QUAMBA2_INLINE void prefetch_step(const char* codes, int64_t step, int64_t stride) {
  constexpr int64_t kBytes = 2 * kLanes * Codes::kBytes;  // of a step in one panel
  if constexpr (kBytes < 64) {
    if (step % (64 / kBytes) != 0) return;
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
    for (int64_t line = 0; line < kBytes; line += 64) {
      __builtin_prefetch(codes + (p + kPanels) * stride + step * kBytes + line, 0, 2);
    }
  }
}

template <class Codes, int kRows, int kPanels>
QUAMBA2_INLINE void gemv_accumulate(F32 (&sum)[kRows][2 * kPanels], int64_t count, const float* x, int64_t ldx,
                                    const char* codes, int64_t stride) {
  const int64_t whole = count / Codes::kStep;
  for (int64_t s = 0; s < whole; ++s) {
    prefetch_step<Codes, kPanels>(codes, s, stride);
    gemv_step<Codes, kRows, kPanels>(sum, Codes::kStep, x + s * Codes::kStep, ldx, codes, s, stride);
  }
  const int rest = static_cast<int>(count - whole * Codes::kStep);
  if (rest > 0) gemv_step<Codes, kRows, kPanels>(sum, rest, x + whole * Codes::kStep, ldx, codes, whole, stride);
}

// x [kRows][ldx] times panels [p, p + kPanels).
template <class Codes, int kRows, int kPanels>
void gemv_panels(const LinearArgs& args, const Panels<Codes>& panels, const float* x, int64_t ldx, int64_t p) {
  constexpr int kVectors = 2 * kPanels;
  constexpr int64_t kWidth = kVectors * kLanes;
  const char* at = panels.panel(args.prepared, p);
  alignas(64) float tile[kRows * kWidth + kLanes];  // totals; in registers only while there is a single group
  for (int64_t g = 0; g < panels.groups; ++g) {
    F32 sum[kRows][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = zero();
    }
    gemv_accumulate<Codes, kRows, kPanels>(sum, panels.group_length(g), x + g * panels.group, ldx, panels.codes(at, g),
                                           panels.panel_bytes);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      F32 scale = zero();
      if constexpr (Codes::kScaled) scale = panels.scales.of(at + (v / 2) * panels.panel_bytes, g, v % 2);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        float* total = tile + r * kWidth + v * kLanes;
        if constexpr (Codes::kScaled)
          store(total, fma(scale, sum[r][v], g == 0 ? zero() : load(total)));
        else
          store(total, sum[r][v]);
      }
    }
  }
  const int64_t first_column = p * kTileColumns;
  store_tile(args, 0, kRows, first_column, smaller<int64_t>(kPanels * kTileColumns, panels.outputs - first_column),
             tile, kWidth);
}

template <class Codes, int kRows = kGemvRows>
void linear_gemv(const LinearArgs& args, const Panels<Codes>& panels, int64_t rows, const float* x, int64_t ldx,
                 const Stream& stream) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return linear_gemv<Codes, kRows - 1>(args, panels, rows, x, ldx, stream);
  }
  run_parallel(stream, [&](int index) {
    constexpr int kPanels = kRows == 1 ? kGemvPanelsOf<Codes> : 1;
    const Share share = share_of(panels.count, index, stream.threads);
    int64_t p = share.begin;
    for (; p + kPanels <= share.end; p += kPanels) gemv_panels<Codes, kRows, kPanels>(args, panels, x, ldx, p);
    for (; p < share.end; ++p) gemv_panels<Codes, kRows, 1>(args, panels, x, ldx, p);
  });
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
