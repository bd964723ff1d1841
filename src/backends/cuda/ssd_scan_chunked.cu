// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks of Q = 64 tokens (arXiv 2405.21060, section 6) on tensor cores, for 64 channels a head and 64 or 128
// states. With alpha_i the sum of a delta over a chunk's tokens up to i:
//
//   ssd_products    CB[i][j] = C_i . B_j                                     a block a chunk and group
//   ssd_chunked     Y[i]  = exp(alpha_i) C_i S + sum over j <= i of CB[i][j] delta_j exp(alpha_i - alpha_j) x_j + D x_i
//                   S     = exp(alpha_last) S + sum over j of exp(alpha_last - alpha_j) delta_j B_j x_j
//                   a block a (segment, head, half of its channels), chunk after chunk; S stays in registers
//
// Factors are sums of two bf16 (device/split.cuh); exponents are differences of sums in double, so that nothing cancels.
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
#pragma unroll 4
  for (int i = threadIdx.x; i < kChunk * kColumns / 4; i += kThreads) {
    const int row = i / (kColumns / 4), at = i % (kColumns / 4) * 4;
    float v[4] = {0, 0, 0, 0};
    if (row < chunk.length) load_four(x, chunk.begin + row, static_cast<int>(column) + at, together, v);
    to.put(row, at, v[0], v[1]);
    to.put(row, at + 2, v[2], v[3]);
  }
}

template <int kStates>
using StateRows = SplitTile<kChunk, kStates + 8>;  // B or C of a chunk

template <int kStates>
__global__ void __launch_bounds__(kThreads) ssd_products(const __grid_constant__ SsdScan s, float* products) {
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
  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(shared_memory)};
  const StateRows<kStates> c = {b.data + StateRows<kStates>::kBytes / 2};
  stage<kStates>(s.b, chunk, static_cast<int64_t>(blockIdx.y) * kStates, b);
  stage<kStates>(s.c, chunk, static_cast<int64_t>(blockIdx.y) * kStates, c);
  __syncthreads();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = warp / 2 * 16;
  float* to = products + (static_cast<int64_t>(blockIdx.x) * s.groups + blockIdx.y) * kChunk * kChunk;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int column = warp % 2 * 32 + half * 16;
    if (column > row + 15) continue;
    float sums[2][4] = {};
#pragma unroll
    for (int k = 0; k < kStates; k += 16) {
      uint32_t left[2][4], right[2][4];
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        load_left(left[part], c, part, row, k);
        load_right_turned(right[part], b, part, k, column);
      }
      multiply_split(sums, left, right);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      to[(row + lane / 4 + i % 4 / 2 * 8) * kChunk + column + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i / 4][i % 4];
    }
  }
}

template <int kStates>
struct ChunkShared {
  double alpha[kChunk];
  float delta[kChunk], weight[kChunk],
      decay[kChunk];  // weight: of a token in the state; decay: of the state at a token
  float decay_all;
};
template <int kStates>
constexpr int chunked_shared_bytes() {
  return 2 * StateRows<kStates>::kBytes + SplitTile<kStates, kHalf + 8>::kBytes +
         2 * SplitTile<kChunk, kHalf + 8>::kBytes + static_cast<int>(sizeof(ChunkShared<kStates>)) + 16;
}

// Steps of the head over a chunk. One warp.
template <int kStates>
__device__ __forceinline__ void chunk_steps(const SsdScan& s, ChunkPlace chunk, int h, float rate,
                                            ChunkShared<kStates>* to) {
  const int lane = threadIdx.x;
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
    to->alpha[t] = alpha;
    to->delta[t] = delta[i];
    to->decay[t] = expf(static_cast<float>(alpha));
    to->weight[t] = delta[i] * expf(static_cast<float>(all - alpha));
  }
  if (lane == 0) to->decay_all = expf(static_cast<float>(all));
}

// delta_j exp(alpha_i - alpha_j) CB[i][j] for j and j + 1, as two parts.
template <int kStates>
__device__ __forceinline__ SplitPair mixed_pair(const ChunkShared<kStates>& c, const float* products, int i, int j) {
  const float2 cb = *reinterpret_cast<const float2*>(products + i * kChunk + j);
  const double at = c.alpha[i];
  const float first = j <= i ? cb.x * c.delta[j] * expf(static_cast<float>(at - c.alpha[j])) : 0.0f;
  const float second = j + 1 <= i ? cb.y * c.delta[j + 1] * expf(static_cast<float>(at - c.alpha[j + 1])) : 0.0f;
  return split_pair(first, second);
}

template <int kStates>
__global__ void __launch_bounds__(kThreads, 2) ssd_chunked(const __grid_constant__ SsdScan s, const float* products) {
  extern __shared__ uint4 shared_memory[];
  let_next_start();
  wait_for_previous();
  constexpr int kRowTiles = kStates / 16,
                kPairs = kStates / 64;  // of a warp: pairs of eight-channel tiles of the state
  const int h = blockIdx.x, first_channel = blockIdx.y * kHalf;
  const Segment segment = s.segments[blockIdx.z];
  if (segment.length == 0) return;
  int64_t chunk_index = 0;
  for (int i = 0; i < static_cast<int>(blockIdx.z); ++i) chunk_index += chunks_of(s, s.segments[i]);
  const int chunks = chunks_of(s, segment), run = run_length(s, segment), each = (run + kChunk - 1) / kChunk;
  const int group = h / (s.heads / s.groups);

  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(shared_memory)};
  const StateRows<kStates> c = {b.data + StateRows<kStates>::kBytes / 2};
  const SplitTile<kStates, kHalf + 8> kept = {c.data + StateRows<kStates>::kBytes / 2};
  const SplitTile<kChunk, kHalf + 8> x = {kept.data + SplitTile<kStates, kHalf + 8>::kBytes / 2};
  const SplitTile<kChunk, kHalf + 8> weighted = {x.data + SplitTile<kChunk, kHalf + 8>::kBytes / 2};
  auto* steps = reinterpret_cast<ChunkShared<kStates>*>(weighted.data + SplitTile<kChunk, kHalf + 8>::kBytes / 2);

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  const int state_row = warp % kRowTiles * 16, state_column = warp / kRowTiles * 16 * kPairs;
  const HeadState stored(s.state, segment.slot, h);
  const float rate = expf(s.a_log[h]);
  float state[kPairs][2][4];
  const auto each_number = [&](const auto& f) {
#pragma unroll
    for (int i = 0; i < kPairs * 8; ++i) {
      f(state_row + g + i % 4 / 2 * 8, state_column + i / 4 * 8 + 2 * q + i % 2, state[i / 8][i / 4 % 2][i % 4]);
    }
  };
  each_number([&](int n, int p, float& v) { v = stored.decode(n, first_channel + p); });

  for (int index = 0; index < chunks; ++index) {
    const ChunkPlace chunk = chunk_place(s, segment, index);
    const int64_t head_column = static_cast<int64_t>(h) * 64 + first_channel;
    __syncthreads();  // the tiles are free
    if (warp == 0) chunk_steps<kStates>(s, chunk, h, rate, steps);
    stage<kStates>(s.b, chunk, static_cast<int64_t>(group) * kStates, b);
    stage<kStates>(s.c, chunk, static_cast<int64_t>(group) * kStates, c);
#pragma unroll
    for (int i = 0; i < kPairs * 4; ++i) {
      kept.put(state_row + g + i % 2 * 8, state_column + i / 2 * 8 + 2 * q, state[i / 4][i / 2 % 2][i % 2 * 2],
               state[i / 4][i / 2 % 2][i % 2 * 2 + 1]);
    }
    __syncthreads();  // steps
    {
      const bool together = reads_together(s.x);
#pragma unroll
      for (int i = threadIdx.x; i < kChunk * kHalf / 4; i += kThreads) {
        const int row = i / (kHalf / 4), at = i % (kHalf / 4) * 4;
        float v[4] = {0, 0, 0, 0};
        if (row < chunk.length) load_four(s.x, chunk.begin + row, static_cast<int>(head_column) + at, together, v);
        const float w = steps->weight[row];
        x.put(row, at, v[0], v[1]), x.put(row, at + 2, v[2], v[3]);
        weighted.put(row, at, w * v[0], w * v[1]), weighted.put(row, at + 2, w * v[2], w * v[3]);
      }
    }
    __syncthreads();

    // Outputs: a warp has 16 tokens and 16 channels.
    const int token = warp / 2 * 16, channel = warp % 2 * 16;
    float y[2][4] = {};
#pragma unroll
    for (int k = 0; k < kStates; k += 16) {
      uint32_t left[2][4], right[2][4];
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        load_left(left[part], c, part, token, k);
        load_right(right[part], kept, part, k, channel);
      }
      multiply_split(y, left, right);
    }
    const float decay_low = steps->decay[token + g], decay_high = steps->decay[token + g + 8];
#pragma unroll
    for (int i = 0; i < 8; ++i) y[i / 4][i % 4] *= i % 4 < 2 ? decay_low : decay_high;
    const float* cb = products + ((chunk_index + index) * s.groups + group) * kChunk * kChunk;
    for (int k = 0; k <= token; k += 16) {
      uint32_t left[2][4], right[2][4];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const SplitPair pair = mixed_pair<kStates>(*steps, cb, token + g + r % 2 * 8, k + 2 * q + r / 2 * 8);
        left[0][r] = pair.high, left[1][r] = pair.low;
      }
#pragma unroll
      for (int part = 0; part < 2; ++part) load_right(right[part], x, part, k, channel);
      multiply_split(y, left, right);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int row = token + g + i % 4 / 2 * 8, p = channel + i / 4 * 8 + 2 * q + i % 2;
      if (row >= chunk.length) continue;
      const int64_t at = chunk.begin + row;
      const float skip = skip_weight(s, h, first_channel + p) * load_number(s.x, at, head_column + p);
      store_number(s.out, at, head_column + p, y[i / 4][i % 4] + skip);
    }

    // The state.
    const float decay_all = steps->decay_all;
    each_number([&](int, int, float& v) { v *= decay_all; });
#pragma unroll
    for (int k = 0; k < kChunk; k += 16) {
      uint32_t left[2][4];
#pragma unroll
      for (int part = 0; part < 2; ++part) load_left_turned(left[part], b, part, state_row, k);
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        uint32_t right[2][4];
#pragma unroll
        for (int part = 0; part < 2; ++part) load_right(right[part], weighted, part, k, state_column + pair * 16);
        multiply_split(state[pair], left, right);
      }
    }
    const bool ends_run = (index + 1) % each == 0 || index + 1 == chunks;
    if (!ends_run) continue;
    if (stored.kind == StateKind::kDynamic) {
      __syncthreads();                                           // the tiles of B and C are free
      float* numbers = reinterpret_cast<float*>(shared_memory);  // [states][kHalf + 1]
      each_number([&](int n, int p, float& v) { numbers[n * (kHalf + 1) + p] = v; });
      __syncthreads();
      if (threadIdx.x < kHalf) {
        encode_channel(stored, kStates, first_channel + threadIdx.x,
                       [&](int64_t n) { return numbers[n * (kHalf + 1) + threadIdx.x]; });
      }
      __syncthreads();
    } else {
      each_number([&](int n, int p, float& v) { stored.encode(n, first_channel + p, v); });
    }
    if (index + 1 < chunks) {
      each_number([&](int n, int p, float& v) { v = stored.decode(n, first_channel + p); });
    }
  }
}

template <int kStates>
void launch_chunked(const SsdScan& s, int32_t most_chunks, const Stream& stream) {
  float* products = reinterpret_cast<float*>(stream.scratch);
  launch(ssd_products<kStates>,
         {dim3(most_chunks, s.groups), dim3(kThreads), static_cast<size_t>(2 * StateRows<kStates>::kBytes)}, stream, s,
         products);
  launch(ssd_chunked<kStates>,
         {dim3(s.heads, 2, s.segment_count), dim3(kThreads), static_cast<size_t>(chunked_shared_bytes<kStates>())},
         stream, s, static_cast<const float*>(products));
}

}  // namespace

bool has_ssd_scan_chunked(const SsdScan& s) { return s.width == 64 && (s.states == 64 || s.states == 128); }

int64_t most_ssd_chunks(const SsdScan& s, int64_t segments) {
  const int64_t run = s.state_every > 0 ? s.state_every : kChunk;
  return (s.tokens / run + segments) * ((run + kChunk - 1) / kChunk);
}

int64_t ssd_chunked_scratch(const SsdScan& s, int64_t segments) {
  return most_ssd_chunks(s, segments) * s.groups * kChunk * kChunk * 4;
}

void run_ssd_scan_chunked(const SsdScan& s, const Stream& stream) {
  const auto chunks = static_cast<int32_t>(most_ssd_chunks(s, s.segment_count));
  if (s.states == 128)
    launch_chunked<128>(s, chunks, stream);
  else
    launch_chunked<64>(s, chunks, stream);
}

}  // namespace quamba2::cuda
