// SPDX-License-Identifier: Apache-2.0
// Words of the vocabulary that treat a vector as kRuns runs of 16 bytes, and what they mean.
//
//   load_runs(tables, ids)   run r is the 16 bytes tables[16 * ids[r]] ...
//   look_up(table, index)    byte i of a run: the byte of its table that byte i of the index names (0 .. 15)
//   transpose_runs(v)        word w of a run of v[i] changes places with word i of the same run of v[w]
//   DotRun                   bytes as dot_runs wants them
//   dot_run(p)               4 * kDotWords packed words of activations (16 of them), the same in all runs
//   dot_run_of(v)            the bytes of a vector, as weights
//   dot_runs(sum, x, w)      adds products of bytes of a run to the four sums of the run, in any way

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kRuns = kLanes / 4;
using DotRun = DotWeights;

QUAMBA2_INLINE I32 load_runs(const int8_t* tables, const uint16_t* ids) {
  I32 r;
  __builtin_memcpy(r.v, tables + 16 * static_cast<size_t>(ids[0]), 16);
  return r;
}
QUAMBA2_INLINE I32 look_up(I32 table, I32 index) {
  int8_t t[16];
  uint8_t i[16];
  __builtin_memcpy(t, table.v, 16);
  __builtin_memcpy(i, index.v, 16);
  for (int b = 0; b < 16; ++b) i[b] = static_cast<uint8_t>(t[i[b]]);
  __builtin_memcpy(index.v, i, 16);
  return index;
}
QUAMBA2_INLINE void transpose_runs(I32 (&v)[4]) {
  for (int i = 0; i < 4; ++i) {
    for (int w = 0; w < i; ++w) {
      const int32_t t = v[i].v[w];
      v[i].v[w] = v[w].v[i];
      v[w].v[i] = t;
    }
  }
}
QUAMBA2_INLINE DotRun dot_run(const uint32_t* p) { return dot_weights(reinterpret_cast<const int8_t*>(p)); }
QUAMBA2_INLINE DotRun dot_run_of(I32 v) { return dot_weights(reinterpret_cast<const int8_t*>(v.v)); }
QUAMBA2_INLINE I32 dot_runs(I32 sum, DotRun x, DotRun w) {
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < 4; ++j) sum.v[i] += x.v[4 * i + j] * w.v[4 * i + j];
  }
  return sum;
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
