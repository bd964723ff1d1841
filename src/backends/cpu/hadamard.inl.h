// SPDX-License-Identifier: Apache-2.0
// hadamard (ops/hadamard.h): H = H_m (x) Sylvester(run), run = 2^k. A row is m runs; the levels of Sylvester with strides
// below kLanes are one small dense product a vector, which also scales; those above are butterflies of whole vectors, two
// levels a pass; the core then mixes the runs, a vector of j at a time:
//
//            j ->
//   run 0  | v v v v |   Sylvester acts along a run
//   :      | v v v v |
//   run m  | v v v v |   the core acts down a column of vectors

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kLargestCore = 28;

// Column j of Sylvester(kLanes) as a vector: signs[j][i] = (-1)^popcount(i & j).
struct LaneSigns {
  float sign[kLanes][kLanes] = {};
  constexpr LaneSigns() {
    for (int j = 0; j < kLanes; ++j) {
      for (int i = 0; i < kLanes; ++i) sign[j][i] = __builtin_popcount(static_cast<unsigned>(i & j)) % 2 ? -1.0f : 1.0f;
    }
  }
};
constexpr LaneSigns kLaneSigns;

// out = scale * Sylvester(kLanes) of every vector of x. x may be out.
inline void lane_levels(const float* x, int64_t n, float scale, float* out) {
  const F32 scales = broadcast(scale);
  for (int64_t i = 0; i < n; i += kLanes) {
    F32 even = zero(), odd = zero();
    for (int j = 0; j < kLanes; j += 2) {
      even = fma(broadcast(x[i + j]), load(kLaneSigns.sign[j]), even);
      odd = fma(broadcast(x[i + j + 1]), load(kLaneSigns.sign[j + 1]), odd);
    }
    store(out + i, mul(add(even, odd), scales));
  }
}

// The levels with strides of half = kLanes, 2 kLanes, ... below run.
inline void vector_levels(float* x, int64_t run) {
  int64_t half = kLanes;
  for (; 4 * half <= run; half *= 4) {
    for (int64_t begin = 0; begin < run; begin += 4 * half) {
      for (int64_t j = begin; j < begin + half; j += kLanes) {
        const F32 a = load(x + j), b = load(x + j + half), c = load(x + j + 2 * half), d = load(x + j + 3 * half);
        const F32 e = add(a, b), f = sub(a, b), g = add(c, d), h = sub(c, d);
        store(x + j, add(e, g));
        store(x + j + half, add(f, h));
        store(x + j + 2 * half, sub(e, g));
        store(x + j + 3 * half, sub(f, h));
      }
    }
  }
  if (2 * half > run) return;
  for (int64_t j = 0; j < half; j += kLanes) {
    const F32 a = load(x + j), b = load(x + j + half);
    store(x + j, add(a, b));
    store(x + j + half, sub(a, b));
  }
}

// Runs shorter than a vector: plain loops.
inline void short_levels(const float* x, int64_t n, int64_t run, float scale, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * scale;
  for (int64_t half = 1; half < run; half *= 2) {
    for (int64_t i = 0; i < n; ++i) {
      if ((i & half) != 0) continue;
      const float a = out[i], b = out[i + half];
      out[i] = a + b;
      out[i + half] = a - b;
    }
  }
}

// x[i * run + j] <- sum over l of signs[i][l] x[l * run + j], for the first `lanes` lanes from column j.
QUAMBA2_INLINE void core_columns(float* x, int64_t run, int m, const float* signs, int lanes) {
  alignas(64) float column[kLargestCore * kLanes];
  for (int l = 0; l < m; ++l) {
    store(column + l * kLanes, lanes == kLanes ? load(x + l * run) : load_n(x + l * run, lanes));
  }
  for (int i = 0; i < m; i += 4) {
    F32 sum[4] = {zero(), zero(), zero(), zero()};
    for (int l = 0; l < m; ++l) {
      const F32 v = load(column + l * kLanes);
      for (int r = 0; r < 4; ++r) sum[r] = fma(broadcast(signs[(i + r) * m + l]), v, sum[r]);
    }
    for (int r = 0; r < 4; ++r) {
      if (lanes == kLanes)
        store(x + (i + r) * run, sum[r]);
      else
        store_n(x + (i + r) * run, sum[r], lanes);
    }
  }
}

// The core as floats, transposed where asked; signs: [m][m].
inline void core_signs(int m, bool transposed, float* signs) {
  const int8_t* core = hadamard_core(m);
  for (int i = 0; i < m; ++i) {
    for (int l = 0; l < m; ++l) signs[i * m + l] = static_cast<float>(transposed ? core[l * m + i] : core[i * m + l]);
  }
}

// out [n] = H x. x may be out.
inline void hadamard_row(const float* x, int64_t n, int m, const float* signs, float* out) {
  const int64_t run = n / m;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(n));
  if (run < kLanes) {
    short_levels(x, n, run, scale, out);
  } else {
    lane_levels(x, n, scale, out);
    for (int i = 0; i < m; ++i) vector_levels(out + i * run, run);
  }
  if (m == 1) return;
  for_vectors(
      run, [&](int64_t j) { core_columns(out + j, run, m, signs, kLanes); },
      [&](int64_t j, int lanes) { core_columns(out + j, run, m, signs, lanes); });
}

// The transform behind a gate (ops/gate.h), of whole rows of `width` floats.
struct Rotator {
  int64_t width;
  int core = 0;  // its order; 0: no transform
  float signs[kLargestCore * kLargestCore];

  Rotator(Rotation rotation, int64_t row_width) : width(row_width) {
    if (rotation == Rotation::kNone) return;
    core = hadamard_core_order(width);
    if (core > 1) core_signs(core, rotation == Rotation::kTransposedHadamard, signs);
  }
  void apply(float* row) const {
    if (core > 0) hadamard_row(row, width, core, signs, row);
  }
};
inline const char* refuse_rotation(Rotation rotation, int64_t width) {
  return rotation == Rotation::kNone || has_hadamard(width) ? nullptr
                                                            : "needs a width of m * 2^k, m in {1, 12, 20, 28}";
}

inline Verdict supports_hadamard(const HadamardArgs& a) {
  return {first_reason(refuse_rotation(Rotation::kHadamard, a.x.values.dim[1]), refuse_whole_rows(a.x),
                       refuse_whole_rows(a.out))};
}
inline size_t hadamard_scratch(const HadamardArgs& a, int32_t threads) {
  return row_buffers_bytes<1>(a.x.values.dim[1], threads);
}
inline void run_hadamard(const HadamardArgs& a, const Stream& stream) {
  const int64_t width = a.x.values.dim[1];
  const Rotator rotator(a.transposed ? Rotation::kTransposedHadamard : Rotation::kHadamard, width);
  split_rows(stream, a.x.values.dim[0], width, [&](int64_t begin, int64_t end, int thread) {
    float* buffer = row_buffers(stream, width, 1, thread);
    for (int64_t t = begin; t < end; ++t) {
      float* out = row_target(a.out, t, 0, buffer);
      hadamard_row(read_row(a.x, t, 0, width, out), width, rotator.core, rotator.signs, out);
      write_row(a.out, t, 0, width, out);
    }
  });
}

constexpr Kernel<HadamardArgs> kHadamardRows[] = {
    {"hadamard_" QUAMBA2_ISA_NAME, supports_hadamard, run_hadamard, hadamard_scratch}};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
