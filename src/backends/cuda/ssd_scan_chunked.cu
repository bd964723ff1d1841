// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks of Q = 64 tokens (arXiv 2405.21060, section 6) on tensor cores, for 64 channels a head and 64 or 128
// states. With alpha_i the sum of a delta over a chunk's tokens up to i:
//
//   ssd_prepare     B and C split, CB[i][j] = C_i . B_j                      a block a chunk and group
//                   delta, alpha and their exponentials                      a warp a chunk and head
//   ssd_chunked     Y[i]  = exp(alpha_i) C_i S + sum over j <= i of CB[i][j] delta_j exp(alpha_i - alpha_j) x_j + D x_i
//                   S     = exp(alpha_last) S + sum over j of exp(alpha_last - alpha_j) delta_j B_j x_j
//                   a block a (segment, head, half of its channels), chunk after chunk; S stays in registers
//
// Factors are sums of two bf16 (device/split.cuh); exponents are differences of sums in double, so that nothing cancels.
#include <cstddef>

#include "backends/cuda/device/split.cuh"
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kChunk = 64, kHalf = 32, kThreads = 256;

// The chunks of a call, counted over segments and the runs between two roundings of the state.
__device__ __forceinline__ int run_length(const SsdScan& s, const Segment& segment) {
  return s.state_every > 0 ? min(s.state_every, max(segment.length, 1)) : max(segment.length, 1);
}
__device__ __forceinline__ int chunks_of(const SsdScan& s, const Segment& segment) {
  const int run = run_length(s, segment), whole = segment.length / run, rest = segment.length % run;
  return whole * ((run + kChunk - 1) / kChunk) + (rest + kChunk - 1) / kChunk;
}
struct ChunkPlace {
  int64_t begin;  // its first token
  int length;     // 0: there is no such chunk
};
// Chunk `index` of a segment.
__device__ __forceinline__ ChunkPlace chunk_place(const SsdScan& s, const Segment& segment, int index) {
  const int run = run_length(s, segment), each = (run + kChunk - 1) / kChunk;
  const int at = index / each * run + index % each * kChunk, end = min((index / each + 1) * run, segment.length);
  return {int64_t{segment.begin} + at, min(kChunk, end - at)};
}

// Four neighbours of a row; `together` where they can be read at once.
__device__ __forceinline__ void load_four(const Numbers& x, int64_t row, int column, bool together, float (&v)[4]) {
  if (together && x.dtype == DType::kI8) {
    const char4 c = *reinterpret_cast<const char4*>(static_cast<const int8_t*>(x.data) + row * x.stride + column);
    v[0] = c.x, v[1] = c.y, v[2] = c.z, v[3] = c.w;
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] *= scale_of(x, row, column + i);
  } else if (together && x.dtype == DType::kF32) {
    const float4 f = *reinterpret_cast<const float4*>(static_cast<const float*>(x.data) + row * x.stride + column);
    v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = load_number(x, row, column + i);
  }
}
__device__ __forceinline__ bool reads_together(const Numbers& x) {
  const int size = x.dtype == DType::kI8 ? 1 : 4;
  return x.stride % 4 == 0 && reinterpret_cast<int64_t>(x.data) % (4 * size) == 0;
}

// kColumns columns from `column` of a chunk's rows; zeros behind its end.
template <int kColumns, class Tile>
__device__ __forceinline__ void stage(const Numbers& x, ChunkPlace chunk, int64_t column, const Tile& to) {
  const bool together = reads_together(x) && column % 4 == 0;
#pragma unroll 2
  for (int i = threadIdx.x; i < kChunk * kColumns / 4; i += kThreads) {
    const int row = i / (kColumns / 4), at = i % (kColumns / 4) * 4;
    float v[4] = {0, 0, 0, 0};
    if (row < chunk.length) load_four(x, chunk.begin + row, static_cast<int>(column) + at, together, v);
    to.put_four(row, at, v, 1.0f);
  }
}

template <int kStates>
using StateRows = SplitTile<kChunk, kStates + 8>;  // B or C of a chunk
using ChannelRows = SplitTile<kChunk, kHalf + 8>;  // x

// C_i . B_j below the diagonal, in blocks of 16 by 16 (row after row of blocks).
constexpr int kBlockStride = 20, kTriangle = 10;
struct Products {
  float block[kTriangle][16][kBlockStride];
};

// Of a chunk and group, in the order in which it is copied to shared memory.
template <int kStates>
struct ChunkTiles {
  alignas(16) unsigned char c[StateRows<kStates>::kBytes];
  Products products;
  alignas(16) unsigned char b[StateRows<kStates>::kBytes];
};

// Of a chunk and head. weight: of a token in the state; decay: of the state at a token.
struct ChunkSteps {
  float2 alpha[kChunk];  // to the base 2, in two parts whose differences do not cancel
  float delta[kChunk], weight[kChunk], decay[kChunk];
  float decay_all, unused[3];
};
__device__ __forceinline__ float2 two_parts(double v) {
  const auto high = static_cast<float>(v);
  return make_float2(high, static_cast<float>(v - high));
}
__device__ __forceinline__ float decay_between(float2 from, float2 to) {
  return exp2f((to.x - from.x) + (to.y - from.y));
}

template <int kStates>
struct ChunkMemory {
  ChunkTiles<kStates>* tiles;  // [chunks][groups]
  ChunkSteps* steps;           // [chunks][heads]
};

// The steps of a head over a chunk. One warp.
__device__ __forceinline__ void chunk_steps(const SsdScan& s, ChunkPlace chunk, int h, ChunkSteps* to) {
  const int lane = threadIdx.x % 32;
  const float rate = expf(s.a_log[h]);
  float delta[2];
  double sum[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int t = 2 * lane + i;
    delta[i] = t < chunk.length ? ssd_delta(s, chunk.begin + t, h) : 0.0f;
    sum[i] = static_cast<double>(-fminf(delta[i] * rate, 1e30f));
  }
  sum[1] += sum[0];
  double before = sum[1];
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const double other = __shfl_up_sync(kAllLanes, before, d);
    if (lane >= d) before += other;
  }
  const double all = __shfl_sync(kAllLanes, before, 31);
  before -= sum[1];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int t = 2 * lane + i;
    const double alpha = before + sum[i];
    to->alpha[t] = two_parts(alpha * 1.4426950408889634);
    to->delta[t] = delta[i];
    to->decay[t] = expf(static_cast<float>(alpha));
    to->weight[t] = delta[i] * expf(static_cast<float>(all - alpha));
  }
  if (lane == 0) to->decay_all = expf(static_cast<float>(all));
}

template <int kStates>
__device__ __forceinline__ void chunk_products(const StateRows<kStates>& b, const StateRows<kStates>& c, Products* to) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int block = warp; block < kTriangle; block += kThreads / 32) {
    const int row = block >= 6 ? 3 : block >= 3 ? 2 : block >= 1 ? 1 : 0, column = block - row * (row + 1) / 2;
    float sums[2][4] = {};
#pragma unroll
    for (int k = 0; k < kStates; k += 16) {
      uint32_t left[2][4], right[2][4];
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        load_left(left[part], c, part, row * 16, k);
        load_right_turned(right[part], b, part, k, column * 16);
      }
      multiply_split(sums, left, right);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      to->block[block][lane / 4 + i % 4 / 2 * 8][i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i / 4][i % 4];
    }
  }
}

// Blocks below `groups` along y make the tiles of a group, the others the steps of eight heads.
template <int kStates>
__global__ void __launch_bounds__(kThreads)
    ssd_prepare(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory) {
  extern __shared__ uint4 shared_memory[];
  let_next_start();
  wait_for_previous();
  int index = blockIdx.x, segment = 0;
  for (; segment < s.segment_count; ++segment) {
    const int count = chunks_of(s, s.segments[segment]);
    if (index < count) break;
    index -= count;
  }
  if (segment == s.segment_count) return;
  const ChunkPlace chunk = chunk_place(s, s.segments[segment], index);
  const int64_t number = blockIdx.x;
  if (static_cast<int>(blockIdx.y) >= s.groups) {
    const int h = (blockIdx.y - s.groups) * (kThreads / 32) + threadIdx.x / 32;
    if (h < s.heads) chunk_steps(s, chunk, h, memory.steps + number * s.heads + h);
    return;
  }
  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(shared_memory)};
  const StateRows<kStates> c = {b.data + StateRows<kStates>::kBytes / 2};
  stage<kStates>(s.b, chunk, static_cast<int64_t>(blockIdx.y) * kStates, b);
  stage<kStates>(s.c, chunk, static_cast<int64_t>(blockIdx.y) * kStates, c);
  __syncthreads();
  ChunkTiles<kStates>* to = memory.tiles + number * s.groups + blockIdx.y;
  for (int i = threadIdx.x; i < StateRows<kStates>::kBytes / 16; i += kThreads) {
    reinterpret_cast<uint4*>(to->b)[i] = reinterpret_cast<const uint4*>(b.data)[i];
    reinterpret_cast<uint4*>(to->c)[i] = reinterpret_cast<const uint4*>(c.data)[i];
  }
  chunk_products<kStates>(b, c, &to->products);
}

template <int kStates>
struct ChunkShared {
  ChunkTiles<kStates> tiles;
  alignas(16) unsigned char kept[SplitTile<kStates, kHalf + 8>::kBytes];  // the state, or its numbers to be encoded
  alignas(16) unsigned char x[ChannelRows::kBytes];                       // x, then x by its weight in the state
  ChunkSteps steps;
};

__device__ __forceinline__ void copy_all(void* shared, const void* from, int bytes) {
  for (int i = threadIdx.x * 16; i < bytes; i += kThreads * 16) {
    copy_16(static_cast<char*>(shared) + i, static_cast<const char*>(from) + i);
  }
}

// delta_j exp(alpha_i - alpha_j) CB[i][j] for j and j + 1, as two parts.
__device__ __forceinline__ SplitPair mixed_pair(const ChunkSteps& c, const float* products, float2 at, int i, int j) {
  const float2 cb = *reinterpret_cast<const float2*>(products), delta = *reinterpret_cast<const float2*>(c.delta + j);
  const float first = cb.x * delta.x * decay_between(c.alpha[j], at);
  const float second = cb.y * delta.y * decay_between(c.alpha[j + 1], at);
  return split_pair(j <= i ? first : 0.0f, j + 1 <= i ? second : 0.0f);
}

// Outputs of 16 tokens and 16 channels but for D x: the state's part, and that of the chunk's tokens.
template <int kStates>
__device__ __forceinline__ void chunk_outputs(const ChunkShared<kStates>& m, int token, int channel, float (&y)[2][4]) {
  const auto* c_data = reinterpret_cast<const __nv_bfloat16*>(m.tiles.c);
  const StateRows<kStates> c = {const_cast<__nv_bfloat16*>(c_data)};
  const SplitTile<kStates, kHalf + 8> kept = {
      const_cast<__nv_bfloat16*>(reinterpret_cast<const __nv_bfloat16*>(m.kept))};
  const ChannelRows x = {const_cast<__nv_bfloat16*>(reinterpret_cast<const __nv_bfloat16*>(m.x))};
  const int lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
#pragma unroll 2
  for (int k = 0; k < kStates; k += 16) {
    uint32_t left[2][4], right[2][4];
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      load_left(left[part], c, part, token, k);
      load_right(right[part], kept, part, k, channel);
    }
    multiply_split(y, left, right);
  }
  const float decay_low = m.steps.decay[token + g], decay_high = m.steps.decay[token + g + 8];
#pragma unroll
  for (int i = 0; i < 8; ++i) y[i / 4][i % 4] *= i % 4 < 2 ? decay_low : decay_high;
  const float2 at[2] = {m.steps.alpha[token + g], m.steps.alpha[token + g + 8]};
  const int first_block = token / 16 * (token / 16 + 1) / 2;
  for (int k = 0; k <= token; k += 16) {
    uint32_t left[2][4], right[2][4];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int row = g + r % 2 * 8, column = 2 * q + r / 2 * 8;
      const SplitPair pair = mixed_pair(m.steps, &m.tiles.products.block[first_block + k / 16][row][column], at[r % 2],
                                        token + row, k + column);
      left[0][r] = pair.high, left[1][r] = pair.low;
    }
#pragma unroll
    for (int part = 0; part < 2; ++part) load_right(right[part], x, part, k, channel);
    multiply_split(y, left, right);
  }
}

// A thread's numbers of x: four channels of two tokens.
template <ScanInputs kInputs>
struct ThreadInputs {
  static constexpr int kEach = kChunk * kHalf / 4 / kThreads;
  float v[kEach][4];
  float4 scales;  // of codes: a thread's channels are the same in all its tokens

  __device__ __forceinline__ static int row(int i) { return (i * kThreads + threadIdx.x) / (kHalf / 4); }
  __device__ __forceinline__ static int column(int i) { return (i * kThreads + threadIdx.x) % (kHalf / 4) * 4; }
  __device__ __forceinline__ void begin(const Numbers& x, int64_t first) {
    if constexpr (kInputs == ScanInputs::kCodes) {
      const float* from = static_cast<const float*>(x.scales) + first + column(0);
      scales = make_float4(from[0], from[1], from[2], from[3]);
    }
  }
  __device__ __forceinline__ void load(const Numbers& x, ChunkPlace chunk, int64_t first) {
    const bool together = reads_together(x);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) v[i][j] = 0;
      if (row(i) >= chunk.length) continue;
      if (kInputs == ScanInputs::kCodes && together) {
        const int64_t at = (chunk.begin + row(i)) * x.stride + first + column(i);
        const char4 c = *reinterpret_cast<const char4*>(static_cast<const int8_t*>(x.data) + at);
        v[i][0] = c.x * scales.x, v[i][1] = c.y * scales.y, v[i][2] = c.z * scales.z, v[i][3] = c.w * scales.w;
      } else {
        load_four(x, chunk.begin + row(i), static_cast<int>(first) + column(i), together, v[i]);
      }
    }
  }
  __device__ __forceinline__ void put(const ChannelRows& to, const float* weights) const {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const float w = weights != nullptr ? weights[row(i)] : 1.0f;
      to.put_four(row(i), column(i), v[i], w);
    }
  }
};

// The part of a state [kStates, kHalf] that a warp accumulates: 16 rows, kPairs times 16 channels.
template <int kStates>
struct WarpState {
  static constexpr int kRowTiles = kStates / 16, kPairs = kStates / 64;
  float v[kPairs][2][4];

  __device__ __forceinline__ static int row() { return threadIdx.x / 32 % kRowTiles * 16; }
  __device__ __forceinline__ static int column() { return threadIdx.x / 32 / kRowTiles * 16 * kPairs; }
  template <class F>
  __device__ __forceinline__ void each(const F& f) {
    const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < kPairs * 8; ++i) {
      f(row() + g + i % 4 / 2 * 8, column() + i / 4 * 8 + 2 * q + i % 2, v[i / 8][i / 4 % 2][i % 4]);
    }
  }
  __device__ __forceinline__ void put(const SplitTile<kStates, kHalf + 8>& to) const {
    const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < kPairs * 4; ++i) {
      const float(&pair)[4] = v[i / 4][i / 2 % 2];
      to.put(row() + g + i % 2 * 8, column() + i / 2 * 8 + 2 * q, pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
    }
  }
  __device__ __forceinline__ void advance(const StateRows<kStates>& b, const ChannelRows& weighted, float decay) {
    each([&](int, int, float& number) { number *= decay; });
#pragma unroll 2
    for (int k = 0; k < kChunk; k += 16) {
      uint32_t left[2][4];
#pragma unroll
      for (int part = 0; part < 2; ++part) load_left_turned(left[part], b, part, row(), k);
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        uint32_t right[2][4];
#pragma unroll
        for (int part = 0; part < 2; ++part) load_right(right[part], weighted, part, k, column() + pair * 16);
        multiply_split(v[pair], left, right);
      }
    }
  }
  // All threads of the block; `numbers` [kStates][kHalf + 1] is free.
  __device__ __forceinline__ void store(const HeadState& stored, int first_channel, float* numbers) {
    if (stored.kind != StateKind::kDynamic) {
      return each([&](int n, int p, float& number) { stored.encode(n, first_channel + p, number); });
    }
    each([&](int n, int p, float& number) { numbers[n * (kHalf + 1) + p] = number; });
    __syncthreads();
    if (threadIdx.x < kHalf) {
      encode_channel(stored, kStates, first_channel + threadIdx.x,
                     [&](int64_t n) { return numbers[n * (kHalf + 1) + threadIdx.x]; });
    }
    __syncthreads();
  }
};

__device__ __forceinline__ void store_outputs(const SsdScan& s, ChunkPlace chunk, int64_t head_column, int token,
                                              int channel, const ChannelRows& x, int h, const float (&y)[2][4]) {
  const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4, first = static_cast<int>(head_column) - h * 64;
  const bool floats =
      s.out.dtype == DType::kF32 && s.out.stride % 2 == 0 && reinterpret_cast<int64_t>(s.out.data) % 8 == 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {  // pairs of channels
    const int row = token + g + i % 2 * 8, p = channel + i / 2 * 8 + 2 * q;
    if (row >= chunk.length) continue;
    const float2 high = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x.at(0, row, p)));
    const float2 low = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x.at(1, row, p)));
    const float a = fmaf(skip_weight(s, h, first + p), high.x + low.x, y[i / 2][i % 2 * 2]);
    const float b = fmaf(skip_weight(s, h, first + p + 1), high.y + low.y, y[i / 2][i % 2 * 2 + 1]);
    const int64_t at = chunk.begin + row;
    if (floats) {
      *reinterpret_cast<float2*>(static_cast<float*>(s.out.data) + at * s.out.stride + head_column + p) =
          make_float2(a, b);
    } else {
      store_number(s.out, at, head_column + p, a);
      store_number(s.out, at, head_column + p + 1, b);
    }
  }
}

template <ScanInputs kInputs, int kStates>
__global__ void __launch_bounds__(kThreads, 2)
    ssd_chunked(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory) {
  extern __shared__ uint4 shared_memory[];
  let_next_start();
  wait_for_previous();
  const int h = blockIdx.x, first_channel = blockIdx.y * kHalf;
  const Segment segment = s.segments[blockIdx.z];
  if (segment.length == 0) return;
  int64_t number = 0;  // of the segment's first chunk
  for (int i = 0; i < static_cast<int>(blockIdx.z); ++i) number += chunks_of(s, s.segments[i]);
  const int chunks = chunks_of(s, segment), each = (run_length(s, segment) + kChunk - 1) / kChunk;
  const int64_t head_column = static_cast<int64_t>(h) * 64 + first_channel;
  const ChunkTiles<kStates>* tiles = memory.tiles + number * s.groups + h / (s.heads / s.groups);
  const ChunkSteps* steps = memory.steps + number * s.heads + h;

  auto* m = reinterpret_cast<ChunkShared<kStates>*>(shared_memory);
  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(m->tiles.b)};
  const SplitTile<kStates, kHalf + 8> kept = {reinterpret_cast<__nv_bfloat16*>(m->kept)};
  const ChannelRows x = {reinterpret_cast<__nv_bfloat16*>(m->x)};
  constexpr int kBefore = offsetof(ChunkTiles<kStates>, b);  // C and the products
  // Copies in three groups a chunk: C and products, steps, B.
  copy_all(&m->tiles, tiles, kBefore), commit_copies();
  copy_all(&m->steps, steps, sizeof(ChunkSteps)), commit_copies();
  copy_all(m->tiles.b, tiles->b, sizeof(tiles->b)), commit_copies();

  const int token = threadIdx.x / 64 * 16, channel = threadIdx.x / 32 % 2 * 16;  // of a warp's outputs
  const HeadState stored(s.state, segment.slot, h);
  WarpState<kStates> state;
  state.each([&](int n, int p, float& v) { v = stored.decode(n, first_channel + p); });
  ThreadInputs<kInputs> inputs;
  inputs.begin(s.x, head_column);
  inputs.load(s.x, chunk_place(s, segment, 0), head_column);

  for (int index = 0; index < chunks; ++index) {
    const ChunkPlace chunk = chunk_place(s, segment, index);
    inputs.put(x, nullptr);
    state.put(kept);
    wait_copies<1>();
    __syncthreads();
    float y[2][4] = {};
    chunk_outputs<kStates>(*m, token, channel, y);
    store_outputs(s, chunk, head_column, token, channel, x, h, y);
    const float decay = m->steps.decay_all;
    __syncthreads();  // C, products, x and the kept state have been read
    inputs.put(x, m->steps.weight);
    const bool more = index + 1 < chunks;
    tiles += s.groups, steps += s.heads;
    if (more) {
      copy_all(&m->tiles, tiles, kBefore);
      inputs.load(s.x, chunk_place(s, segment, index + 1), head_column);
    }
    commit_copies();
    wait_copies<1>();  // B
    __syncthreads();   // steps have been read
    if (more) copy_all(&m->steps, steps, sizeof(ChunkSteps));
    commit_copies();
    state.advance(b, x, decay);
    const bool ends_run = (index + 1) % each == 0 || !more;
    if (ends_run) state.store(stored, first_channel, reinterpret_cast<float*>(m->kept));
    __syncthreads();  // B and weighted x have been read
    if (more) copy_all(m->tiles.b, tiles->b, sizeof(tiles->b));
    commit_copies();
    if (ends_run && more) state.each([&](int n, int p, float& v) { v = stored.decode(n, first_channel + p); });
  }
}

template <int kStates>
void launch_chunked(const SsdScan& s, int32_t most_chunks, const Stream& stream) {
  auto* tiles = reinterpret_cast<ChunkTiles<kStates>*>(stream.scratch);
  const ChunkMemory<kStates> memory = {
      tiles, reinterpret_cast<ChunkSteps*>(tiles + static_cast<int64_t>(most_chunks) * s.groups)};
  const auto across = static_cast<unsigned>(s.groups + (s.heads + kThreads / 32 - 1) / (kThreads / 32));
  launch(ssd_prepare<kStates>,
         {dim3(most_chunks, across), dim3(kThreads), static_cast<size_t>(2 * StateRows<kStates>::kBytes)}, stream, s,
         memory);
  const LaunchShape shape = {dim3(s.heads, 2, s.segment_count), dim3(kThreads), sizeof(ChunkShared<kStates>)};
  if (inputs_of(s.x, s.x, s.x, s.x) == ScanInputs::kCodes)
    launch(ssd_chunked<ScanInputs::kCodes, kStates>, shape, stream, s, memory);
  else
    launch(ssd_chunked<ScanInputs::kAny, kStates>, shape, stream, s, memory);
}

}  // namespace

bool has_ssd_scan_chunked(const SsdScan& s) { return s.width == 64 && (s.states == 64 || s.states == 128); }

int64_t most_ssd_chunks(const SsdScan& s, int64_t segments) {
  const int64_t run = s.state_every > 0 ? s.state_every : kChunk;
  return (s.tokens / run + segments) * ((run + kChunk - 1) / kChunk);
}

int64_t ssd_chunked_scratch(const SsdScan& s, int64_t segments) {
  const int64_t tiles = s.states == 128 ? sizeof(ChunkTiles<128>) : sizeof(ChunkTiles<64>);
  return most_ssd_chunks(s, segments) * (s.groups * tiles + s.heads * static_cast<int64_t>(sizeof(ChunkSteps)));
}

void run_ssd_scan_chunked(const SsdScan& s, const Stream& stream) {
  const auto chunks = static_cast<int32_t>(most_ssd_chunks(s, s.segment_count));
  if (s.states == 128)
    launch_chunked<128>(s, chunks, stream);
  else
    launch_chunked<64>(s, chunks, stream);
}

}  // namespace quamba2::cuda
