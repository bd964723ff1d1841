// SPDX-License-Identifier: Apache-2.0
// linear over INT4 and INT6 weights with a scale a group, in integers:
//
//   y = s_x * (sum over groups of s_g[n] * (sum of bytes of x * weight codes, exact)) + bias
//
// Codes are multiplied as stored, unsigned; what their offset adds is where sums start. INT8 activations are one row of
// bytes a token. Floats are three (byte_rows.inl.h): three integer products take half the time of the conversions and the
// multiply-add of floats. One token and many add groups in the same order, hence give equal bits.

namespace quamba2::QUAMBA2_ISA {
namespace {

// Rows of bytes at once: two sums each, and as many tokens as that makes.
constexpr int kGroupedRows = smaller(kMostTileRows, kRegisters == 32 ? 12 : 6);
template <int kLimbs>
constexpr int kGroupedTokens = kGroupedRows / kLimbs;
constexpr int64_t kGroupedBlock = 128;  // tokens whose bytes stay in the second-level cache

template <class Codes, int kLimbs>
Verdict supports_linear_grouped(const LinearArgs& args) {
  if (args.weight.format.storage != Codes::kType || args.weight.format.levels != 1) {
    return {"is for another weight type, with one level of scales"};
  }
  const Verdict verdict = kLimbs == 1 ? supports_linear_dot(args) : supports_linear_any(args);
  if (verdict.refusal) return verdict;
  if (kLimbs > 1 && !is_float_type(args.x.format.storage)) return {"needs float activations"};
  if (kLimbs > 1 && args.weight.format.level[0].dtype != DType::kF16) return {"needs f16 scales: sums may overflow"};
  const int64_t inner = args.weight.values.dim[1];
  if (inner > kDotMaxInner) return {"needs K at most 131071"};
  if (inner % Codes::kUnit != 0 || smaller<int64_t>(weight_group(args.weight), inner) % Codes::kUnit != 0) {
    return {"needs K and groups in multiples of what is unpacked at once"};
  }
  return verdict;
}

// A panel times kRows rows of bytes from `row` on: total[r][half] is the sum over groups. With few rows every sum is kept
// in several, so that additions do not wait for one another.
template <class Codes, int kRows, class Rows>
QUAMBA2_INLINE void grouped_sums(const GroupedPanels<Codes>& panels, const char* panel, const Rows& rows, int64_t row,
                                 F32 (&total)[kRows][2]) {
  constexpr int kFours = Codes::kUnit / 4, kChains = kRows == 1 ? kFours : kRows <= 3 ? 2 : 1;
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) total[r][0] = total[r][1] = zero();
  const int8_t* x = rows.bytes + row * rows.stride;
  int64_t unit = 0;
  for (int64_t g = 0; g < panels.groups; ++g) {
    I32 sum[kRows][2][kChains];
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int i = 0; i < 2 * kChains; ++i) {
        sum[r][i / kChains][i % kChains] =
            broadcast(i % kChains == 0 ? rows.starts[(row + r) * panels.groups + g] : int32_t{0});
      }
    }
    for (const int64_t end = unit + panels.units(g); unit < end; ++unit, x += Codes::kUnit) {
      const char* at = panels.codes(panel, unit);
      if constexpr (kRows <= 3) {
#pragma GCC unroll 8
        for (int line = 0; line < GroupedPanels<Codes>::kUnitBytes; line += 64)
          __builtin_prefetch(at + kPrefetchWords * 4 + line, 0, 2);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kFours; ++i) {
        const int32_t* codes = reinterpret_cast<const int32_t*>(at);
        const I32 first = Codes::unpack(codes, i), second = Codes::unpack(codes + Codes::kParts * kLanes, i);
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
          const I32 four = broadcast(load_as<int32_t>(x + r * rows.stride + 4 * i, 0));
          sum[r][0][i % kChains] = dot_codes(sum[r][0][i % kChains], first, four);
          sum[r][1][i % kChains] = dot_codes(sum[r][1][i % kChains], second, four);
        }
      }
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const F32 scale = panels.scales.of(panel, g, half);
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        I32 all = sum[r][half][0];
#pragma GCC unroll 4
        for (int c = 1; c < kChains; ++c) all = add(all, sum[r][half][c]);
        total[r][half] = fma(scale, to_f32(all), total[r][half]);
      }
    }
  }
}

template <class Codes, int kLimbs, int kTokens>
void grouped_tile(const LinearArgs& args, const GroupedPanels<Codes>& panels, int64_t p, const ByteRows<kLimbs>& rows,
                  int64_t t) {
  F32 total[kTokens * kLimbs][2];
  grouped_sums<Codes, kTokens * kLimbs>(panels, panels.panel(args.prepared, p), rows, t * kLimbs, total);
  alignas(64) float tile[kTokens * kTileColumns + kLanes];
#pragma GCC unroll 12
  for (int i = 0; i < kTokens; ++i) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      F32 y = total[i * kLimbs][half];
      if constexpr (kLimbs == 1) {
        y = mul(y, broadcast(DotScales(args.x).of(t + i)));
      } else {
        y = fma(y, broadcast(65536.0f), fma(total[i * 3 + 1][half], broadcast(256.0f), total[i * 3 + 2][half]));
        y = mul(mul(y, broadcast(rows.scale[t + i][0])), broadcast(rows.scale[t + i][1]));
      }
      store(tile + i * kTileColumns + half * kLanes, y);
    }
  }
  const int64_t first_column = p * kTileColumns;
  store_tile(args, t, kTokens, first_column, smaller<int64_t>(kTileColumns, panels.outputs - first_column), tile,
             kTileColumns);
}

// Tokens [t, end) in tiles of at most kTokens.
template <class Codes, int kLimbs, int kTokens = kGroupedTokens<kLimbs>>
void grouped_tiles(const LinearArgs& args, const GroupedPanels<Codes>& panels, int64_t p, const ByteRows<kLimbs>& rows,
                   int64_t t, int64_t end) {
  for (; t + kTokens <= end; t += kTokens) grouped_tile<Codes, kLimbs, kTokens>(args, panels, p, rows, t);
  if constexpr (kTokens > 1) {
    if (t < end) grouped_tiles<Codes, kLimbs, kTokens / 2>(args, panels, p, rows, t, end);
  }
}

template <class Codes, int kLimbs>
void run_linear_grouped(const LinearArgs& args, const Stream& stream) {
  const GroupedPanels<Codes> panels(args.weight);
  const int64_t tokens = args.x.values.dim[0];
  const ByteRows<kLimbs> rows(args.x, panels.inner, panels.groups, stream.scratch);
  const auto make_rows = [&](int index) {
    const Share share = share_of(tokens, index, stream.threads);
    for (int64_t t = share.begin; t < share.end; ++t)
      make_byte_rows(args.x, t, panels.inner, panels.group, Codes::kOffset, rows);
  };
  if (tokens > 1)
    run_parallel(stream, make_rows);
  else
    make_byte_rows(args.x, 0, panels.inner, panels.group, Codes::kOffset, rows);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(panels.count, index, stream.threads);
    for (int64_t t = 0; t < tokens; t += kGroupedBlock) {
      for (int64_t p = share.begin; p < share.end; ++p)
        grouped_tiles<Codes, kLimbs>(args, panels, p, rows, t, smaller(tokens, t + kGroupedBlock));
    }
  });
}

template <class Codes, int kLimbs>
size_t grouped_scratch_bytes(const LinearArgs& args, int32_t) {
  const GroupedPanels<Codes> panels(args.weight);
  return static_cast<size_t>(ByteRows<kLimbs>::scratch_bytes(args.x.values.dim[0], panels.inner, panels.groups));
}

template <class Codes, int kLimbs>
constexpr Kernel<LinearArgs> linear_grouped_row(const char* name) {
  return {name,
          supports_linear_grouped<Codes, kLimbs>,
          run_linear_grouped<Codes, kLimbs>,
          grouped_scratch_bytes<Codes, kLimbs>,
          grouped_prepared_bytes<Codes>,
          grouped_prepare<Codes>,
          grouped_read_row<Codes>};
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
