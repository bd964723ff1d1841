// SPDX-License-Identifier: Apache-2.0
// ssd_scan (ops/ssd_scan.h) in chunks of Q tokens (arXiv 2405.21060, section 6; method.md 1.4): matrix products do most
// of the work. With decays d_k = exp(delta_k a), all products of decays are at most 1, so nothing overflows:
//
//   CB[j][i] = B_j . C_i                          a (chunk, group), shared by the heads of the group
//   M[j][i]  = CB[j][i] delta_j d_{j+1} ... d_i   a head; zero where i < j
//   Y[i][p]  = (d_0 ... d_i) sum_n C_i[n] S[n][p]  +  sum_{j <= i} M[j][i] x_j[p]  +  D x_i[p]
//   S[n][p] <- (d_0 ... d_{q-1}) S[n][p]  +  sum_j B_j[n] (d_{j+1} ... d_{q-1} delta_j x_j[p])
//
// Every product has the same micro-kernel: a tile of kScanRows rows by V vectors in registers; per k, V vector loads of
// the right operand and kScanRows broadcasts of the left one.
//
//             right[k]  | b b b b | b b b b |     V vectors of p (of i for CB)
//   left[row][k]   a -> | acc     | acc     |
//                  a -> | acc     | acc     |     kScanRows rows: i for Y, n for S, j for CB
//                  :    |  :      |  :      |

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr int kChunk = 64;  // tokens; a multiple of 16 and of the tile
constexpr int kHeadBlock =
    16;  // heads whose states a thread holds at once, so that they stay in its second-level cache
constexpr int kScanRows = kRegisters == 32 ? 8 : 4;

template <int V>
struct ScanTile {
  F32 sum[kScanRows][V];
};

template <int V>
QUAMBA2_INLINE void clear_tile(ScanTile<V>& t) {
  for (int r = 0; r < kScanRows; ++r) {
    for (int v = 0; v < V; ++v) t.sum[r][v] = zero();
  }
}

// sum[r] += sum over k of left[r * row_step + k * k_step] * right[k * right_step + ...].
template <int V>
QUAMBA2_INLINE void multiply_tile(ScanTile<V>& t, const float* left, int64_t row_step, int64_t k_step,
                                  const float* right, int64_t right_step, int64_t count) {
  for (int64_t k = 0; k < count; ++k) {
    F32 b[V];
    for (int v = 0; v < V; ++v) b[v] = load(right + v * kLanes);
    for (int r = 0; r < kScanRows; ++r) {
      const F32 a = broadcast(left[r * row_step]);
      for (int v = 0; v < V; ++v) t.sum[r][v] = fma(a, b[v], t.sum[r][v]);
    }
    left += k_step;
    right += right_step;
  }
}

// What one thread works with; all in its scratch.
struct ChunkBuffers {
  float* b;         // [Q][tall]: B_j, zeros beyond N
  float* ct;        // [N][Q]: C transposed
  float* cb;        // [Q][Q]: B_j . C_i at [j][i]
  float* m;         // [Q][Q]
  float* x;         // [Q][wide], zeros beyond P
  float* weighted;  // [Q][wide]: x_j delta_j times the decays after j
  float* y;         // [Q][wide]
  float* row;       // one row of B or C
  float* skip;      // [wide]: D
  float* state;     // [kHeadBlock][tall][wide]
};
inline int64_t ssd_chunk_floats(const SsdShape& s) {
  return kChunk * s.tall * 2 + 2 * kChunk * kChunk + 3 * kChunk * s.wide + padded(s.tall) + padded(s.wide) +
         smaller<int64_t>(kHeadBlock, s.heads) * s.tall * s.wide;
}
inline ChunkBuffers chunk_buffers(float* p, const SsdShape& s) {
  const auto take = [&](int64_t floats) { return (p += floats) - floats; };
  ChunkBuffers out;
  out.b = take(kChunk * s.tall);
  out.ct = take(kChunk * s.tall);
  out.cb = take(kChunk * kChunk);
  out.m = take(kChunk * kChunk);
  out.x = take(kChunk * s.wide);
  out.weighted = take(kChunk * s.wide);
  out.y = take(kChunk * s.wide);
  out.row = take(padded(s.tall));
  out.skip = take(padded(s.wide));
  out.state = take(smaller<int64_t>(kHeadBlock, s.heads) * s.tall * s.wide);
  return out;
}

// A chunk of one segment.
struct Chunk {
  int64_t begin;  // its first token
  int64_t length;
};

template <int V>
QUAMBA2_INLINE void cb_tile(const ChunkBuffers& w, const SsdShape& s, int64_t j, int64_t i) {
  ScanTile<V> t;
  clear_tile(t);
  multiply_tile(t, w.b + j * s.tall, s.tall, 1, w.ct + i, kChunk, s.states);
  for (int r = 0; r < kScanRows; ++r) {
    for (int v = 0; v < V; ++v) store(w.cb + (j + r) * kChunk + i + v * kLanes, t.sum[r][v]);
  }
}

// b, ct and cb of a group. Rows and columns beyond the chunk's end are zeros.
inline void load_group(const SsdScanArgs& args, const SsdShape& s, const ChunkBuffers& w, Chunk chunk, int64_t group) {
  for (int64_t j = 0; j < kChunk; ++j) {
    float* b = w.b + j * s.tall;
    for (int64_t n = j < chunk.length ? s.states : 0; n < s.tall; ++n) b[n] = 0;
    if (j >= chunk.length) {
      for (int64_t n = 0; n < s.states; ++n) w.ct[n * kChunk + j] = 0;
      continue;
    }
    const int64_t t = chunk.begin + j, column = group * s.states;
    decode_row(matrix_row(args.b.values, t), args.b.values.dtype, scales_of(args.b), column, s.states, b);
    const float* c = read_row(args.c, t, column, s.states, w.row);
    for (int64_t n = 0; n < s.states; ++n) w.ct[n * kChunk + j] = c[n];
  }
  for (int64_t j = 0; j < chunk.length; j += kScanRows) {
    int64_t i = j & ~int64_t{15};  // where load_head starts to read
    for (; i < chunk.length && i + 2 * kLanes <= kChunk; i += 2 * kLanes) cb_tile<2>(w, s, j, i);
    for (; i < chunk.length; i += kLanes) cb_tile<1>(w, s, j, i);
  }
}

// The numbers of one head in one chunk.
struct HeadChunk {
  float decay_to[kChunk + kLanes];  // d_0 ... d_i
  float decay_all;                  // d_0 ... d_{q-1}
};

// m and weighted: from the last token backwards, after[i] = d_{j+1} ... d_i gathers one more decay a step. A product that
// would be denormal becomes 0.
inline void weigh_tokens(const SsdShape& s, const ChunkBuffers& w, Chunk chunk, const float* delta,
                         const float* decay) {
  alignas(64) float after[kChunk], place[kChunk];
  for (int i = 0; i < kChunk; ++i) after[i] = 1.0f, place[i] = static_cast<float>(i);
  for (int64_t j = chunk.length - 1; j >= 0; --j) {
    const F32 here = broadcast(static_cast<float>(j)), next = broadcast(static_cast<float>(j) + 0.5f);
    const F32 d = broadcast(j + 1 < chunk.length ? decay[j + 1] : 1.0f), step = broadcast(delta[j]);
    for (int64_t i = j & ~int64_t{15}; i < chunk.length; i += kLanes) {
      const F32 at = load(place + i), old = load(after + i);
      F32 product = if_less(next, at, mul(old, d), old);
      product = if_less(product, broadcast(0x1p-126f), zero(), product);
      store(after + i, product);
      store(w.m + j * kChunk + i, if_less(at, here, zero(), mul(mul(load(w.cb + j * kChunk + i), step), product)));
    }
    const F32 weight = broadcast(delta[j] * after[chunk.length - 1]);
    for (int64_t p = 0; p < s.wide; p += kLanes)
      store(w.weighted + j * s.wide + p, mul(weight, load(w.x + j * s.wide + p)));
  }
}

// Everything that depends on the head but not on its state.
inline void load_head(const SsdScanArgs& args, const SsdShape& s, const ChunkBuffers& w, Chunk chunk, int64_t h,
                      HeadChunk* head) {
  float delta[kChunk + kLanes], decay[kChunk + kLanes];
  head_steps(args, h, chunk.begin, chunk.length, delta, decay);
  float product = 1.0f;
  for (int64_t i = 0; i < kChunk; ++i) {
    if (i < chunk.length) product *= decay[i];
    if (product < 0x1p-126f) product = 0;
    head->decay_to[i] = product;
  }
  head->decay_all = product;
  for (int64_t i = 0; i < chunk.length; ++i) {
    float* x = w.x + i * s.wide;
    store(x + s.wide - kLanes, zero());
    decode_row(matrix_row(args.x.values, chunk.begin + i), args.x.values.dtype, scales_of(args.x), h * s.width, s.width,
               x);
  }
  for (int64_t p = 0; p < s.wide; p += kLanes) {
    const int n = static_cast<int>(smaller<int64_t>(kLanes, s.width - p));
    store(w.skip + p, skip_weight(args, s, h, p, n));
  }
  weigh_tokens(s, w, chunk, delta, decay);
}

template <int V>
QUAMBA2_INLINE void output_tile(const SsdShape& s, const ChunkBuffers& w, const HeadChunk& head, const float* state,
                                int64_t length, int64_t i, int64_t p) {
  ScanTile<V> t;
  clear_tile(t);
  multiply_tile(t, w.ct + i, 1, kChunk, state + p, s.wide, s.states);
  for (int r = 0; r < kScanRows; ++r) {
    for (int v = 0; v < V; ++v) t.sum[r][v] = mul(t.sum[r][v], broadcast(head.decay_to[i + r]));
  }
  multiply_tile(t, w.m + i, 1, kChunk, w.x + p, s.wide, smaller(i + kScanRows, length));
  for (int r = 0; r < kScanRows; ++r) {
    for (int v = 0; v < V; ++v) {
      const int64_t at = (i + r) * s.wide + p + v * kLanes;
      store(w.y + at, fma(load(w.skip + p + v * kLanes), load(w.x + at), t.sum[r][v]));
    }
  }
}

template <int V>
QUAMBA2_INLINE void state_tile(const SsdShape& s, const ChunkBuffers& w, const HeadChunk& head, float* state,
                               int64_t length, int64_t n, int64_t p) {
  ScanTile<V> t;
  clear_tile(t);
  multiply_tile(t, w.b + n, 1, s.tall, w.weighted + p, s.wide, length);
  const F32 decay = broadcast(head.decay_all);
  for (int r = 0; r < kScanRows; ++r) {
    for (int v = 0; v < V; ++v) {
      float* at = state + (n + r) * s.wide + p + v * kLanes;
      store(at, fma(decay, load(at), t.sum[r][v]));
    }
  }
}

// Outputs of a chunk, then its effect on the state [tall][wide].
template <int V>
inline void multiply_columns(const SsdShape& s, const ChunkBuffers& w, const HeadChunk& head, float* state,
                             int64_t length, int64_t p) {
  for (int64_t i = 0; i < length; i += kScanRows) output_tile<V>(s, w, head, state, length, i, p);
  for (int64_t n = 0; n < s.tall; n += kScanRows) state_tile<V>(s, w, head, state, length, n, p);
}

inline void scan_chunk(const SsdScanArgs& args, const SsdShape& s, const ChunkBuffers& w, Chunk chunk, int64_t h,
                       float* state) {
  HeadChunk head;
  load_head(args, s, w, chunk, h, &head);
  int64_t p = 0;
  for (; p + 2 * kLanes <= s.wide; p += 2 * kLanes) multiply_columns<2>(s, w, head, state, chunk.length, p);
  for (; p < s.wide; p += kLanes) multiply_columns<1>(s, w, head, state, chunk.length, p);
  for (int64_t i = 0; i < chunk.length; ++i) {
    encode_row(matrix_row(args.out.values, chunk.begin + i), args.out.values.dtype, scales_of(args.out), h * s.width,
               s.width, w.y + i * s.wide);
  }
}

// Heads [heads.begin, heads.end) of a segment: group by group, in blocks whose states fit the cache.
inline void ssd_scan_chunked(const SsdScanArgs& args, const Segment& seg, Share heads, float* scratch) {
  const SsdShape s = ssd_shape(args);
  const ChunkBuffers w = chunk_buffers(scratch, s);
  const int64_t per_group = s.heads / s.groups, head_floats = s.tall * s.wide;
  for (int64_t h = heads.begin; h < heads.end;) {
    const int64_t group = h / per_group;
    const int64_t end = smaller(smaller((group + 1) * per_group, heads.end), h + kHeadBlock);
    for (int64_t k = h; k < end; ++k) {
      float* state = w.state + (k - h) * head_floats;
      decode_state(head_state(args, seg.slot, k), s, state);
      for (int64_t i = s.states * s.wide; i < head_floats; ++i) state[i] = 0;
    }
    for (int64_t t = 0; t < seg.length; t += kChunk) {
      const Chunk chunk = {seg.begin + t, smaller<int64_t>(kChunk, seg.length - t)};
      load_group(args, s, w, chunk, group);
      for (int64_t k = h; k < end; ++k) scan_chunk(args, s, w, chunk, k, w.state + (k - h) * head_floats);
    }
    for (int64_t k = h; k < end; ++k) encode_state(head_state(args, seg.slot, k), s, w.state + (k - h) * head_floats);
    h = end;
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
