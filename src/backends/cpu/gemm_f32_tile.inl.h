// SPDX-License-Identifier: Apache-2.0
// The register tile of dense f32 products: kRows x 32 (AVX-512), 16 (AVX2) or 8 (scalar) outputs.
//
//                 b  [count][ldb]          one step of k: load two vectors of b, then for each row
//                 [ b0 ][ b1 ]             broadcast a[r] and update both of its accumulators.
//    a     a[0]   [acc00][acc01]
//   k-major ..    [ ..  ][ ..  ]           Each output has one accumulator and adds in ascending k,
//          a[13]  [accd0][accd1]           whatever the number of rows.

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kTileColumns = 2 * kLanes;
// As many rows as leave registers for two vectors of b and one of a.
constexpr int kTileRows = smaller(kMostTileRows, kRegisters == 32 ? 14 : kLanes == 8 ? 6 : 4);

// acc[r] += sum over k of a[k * lda + r] * b[k * ldb ...]
template <int kRows>
QUAMBA2_INLINE void gemm_accumulate(F32 (&acc)[kRows][2], int64_t count, const float* a, int64_t lda, const float* b,
                                    int64_t ldb) {
  for (int64_t k = 0; k < count; ++k, a += lda, b += ldb) {
    const F32 b0 = load(b), b1 = load(b + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const F32 x = broadcast(a[r]);
      acc[r][0] = fma(x, b0, acc[r][0]);
      acc[r][1] = fma(x, b1, acc[r][1]);
    }
  }
}

// Where a tile's sums start and end. c and partial are [kRows][ldc].
struct TileSums {
  float* partial;  // read where `resume`, written where `scale` is null
  bool resume;
  float* c;  // where `scale` [kTileColumns] is given: c = scale * sum + c
  const float* scale;
  int64_t ldc;
};

template <int kRows>
void gemm_f32_tile(int64_t count, const float* a, int64_t lda, const float* b, int64_t ldb, const TileSums& sums) {
  F32 acc[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const float* from = sums.partial + r * sums.ldc;
    acc[r][0] = sums.resume ? load(from) : zero();
    acc[r][1] = sums.resume ? load(from + kLanes) : zero();
  }
  gemm_accumulate(acc, count, a, lda, b, ldb);
  if (sums.scale == nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      store(sums.partial + r * sums.ldc, acc[r][0]);
      store(sums.partial + r * sums.ldc + kLanes, acc[r][1]);
    }
    return;
  }
  const F32 s0 = load(sums.scale), s1 = load(sums.scale + kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* c = sums.c + r * sums.ldc;
    store(c, fma(s0, acc[r][0], load(c)));
    store(c + kLanes, fma(s1, acc[r][1], load(c + kLanes)));
  }
}

// The tile of `rows` in [1, kTileRows] rows.
template <int kRows = kTileRows>
inline void gemm_f32_tile_of(int rows, int64_t count, const float* a, int64_t lda, const float* b, int64_t ldb,
                             const TileSums& sums) {
  if (rows == kRows) return gemm_f32_tile<kRows>(count, a, lda, b, ldb, sums);
  if constexpr (kRows > 1) gemm_f32_tile_of<kRows - 1>(rows, count, a, lda, b, ldb, sums);
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
