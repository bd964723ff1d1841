// SPDX-License-Identifier: Apache-2.0
// One token times prepared weights: bound by reading them. kPanels panels are walked together, so that enough sums and
// enough streams of memory are in flight; each output still has one accumulator a group.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kGemvPanels = kRegisters == 32 ? 4 : 2;
// Formats that hold several registers a vector walk fewer.
template <class Codes>
constexpr int kGemvPanelsOf = Codes::kBytes > 4 ? kGemvPanels / 2 : kGemvPanels;

// sum[v] += x[k] * value, k in [0, count) of one group; vector v is in panel v / 2, `stride` bytes apart. All vectors of
// a step are loaded first, and sums take turns: a chain of additions to one of them would wait for each.
template <class Codes, int kPanels>
QUAMBA2_INLINE void gemv_step(F32 (&sum)[2 * kPanels], int count, const float* x, const char* codes, int64_t step,
                              int64_t stride) {
  typename Codes::Pack pack[2 * kPanels];
#pragma GCC unroll 8
  for (int v = 0; v < 2 * kPanels; ++v) pack[v] = Codes::load(step_vector<Codes>(codes + (v / 2) * stride, step, v % 2));
#pragma GCC unroll 16
  for (int j = 0; j < Codes::kStep; ++j) {
    if (j >= count) break;
    const F32 input = broadcast(x[j]);
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kPanels; ++v) sum[v] = fma(input, Codes::next(pack[v]), sum[v]);
  }
}

template <class Codes, int kPanels>
QUAMBA2_INLINE void gemv_accumulate(F32 (&sum)[2 * kPanels], int64_t count, const float* x, const char* codes,
                                    int64_t stride) {
  const int64_t whole = count / Codes::kStep;
  for (int64_t s = 0; s < whole; ++s) {
    gemv_step<Codes, kPanels>(sum, Codes::kStep, x + s * Codes::kStep, codes, s, stride);
  }
  const int rest = static_cast<int>(count - whole * Codes::kStep);
  if (rest > 0) gemv_step<Codes, kPanels>(sum, rest, x + whole * Codes::kStep, codes, whole, stride);
}

template <class Codes, int kPanels>
void gemv_panels(const LinearArgs& args, const Panels<Codes>& panels, const float* x, int64_t p) {
  constexpr int kVectors = 2 * kPanels;
  const char* at = panels.panel(args.prepared, p);
  F32 total[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) total[v] = zero();
  for (int64_t g = 0; g < panels.groups; ++g) {
    F32 sum[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] = zero();
    gemv_accumulate<Codes, kPanels>(sum, panels.group_length(g), x + g * panels.group, panels.codes(at, g),
                                    panels.panel_bytes);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (Codes::kScaled) {
        total[v] = fma(panels.scale(at + (v / 2) * panels.panel_bytes, g, v % 2), sum[v], total[v]);
      } else {
        total[v] = sum[v];
      }
    }
  }
  float tile[(kVectors + 1) * kLanes];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) store(tile + v * kLanes, total[v]);
  const int64_t first_column = p * kTileColumns;
  store_tile(args, 0, 1, first_column, smaller<int64_t>(kPanels * kTileColumns, panels.outputs - first_column), tile, 0);
}

template <class Codes>
void linear_gemv(const LinearArgs& args, const Panels<Codes>& panels, const float* x, const Stream& stream) {
  run_parallel(stream, [&](int index) {
    const Share share = share_of(panels.count, index, stream.threads);
    constexpr int kPanels = kGemvPanelsOf<Codes>;
    int64_t p = share.begin;
    for (; p + kPanels <= share.end; p += kPanels) gemv_panels<Codes, kPanels>(args, panels, x, p);
    for (; p < share.end; ++p) gemv_panels<Codes, 1>(args, panels, x, p);
  });
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
