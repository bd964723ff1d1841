// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks (ssd_scan_chunked.cu), second kernel: the states, chunk after chunk. kShares blocks share a head of a
// segment: two, or four where heads are too few for the GPU. Each has a part of its states with all 64 channels or, where a
// channel's codes depend on one another (dynamic scales), all states of a part of its channels. Eight warps hold the state in
// registers; fragments of B come from where ssd_prepare has put them, four steps ahead, x by its weights passes through
// shared memory.
#include "backends/cuda/ssd_scan_chunks.cuh"

namespace quamba2::cuda {
namespace {

// What a block has of a head, and a warp of that: 16 states, kPairs times 16 channels.
template <int kStates, bool kSplitStates, int kShares>
struct StateShare {
  static constexpr int kRowTiles = kSplitStates ? kStates / 16 / kShares : kStates / 16;
  static constexpr int kChannels = kSplitStates ? kWidth : kWidth / kShares;
  static constexpr int kAcross = kChunkThreads / 32 / kRowTiles, kPairs = kChannels / 16 / kAcross;
  static constexpr int kStride = kChannels + 8;
  using Rows = SplitTile<kChunk, kStride>;
  static_assert(kPairs > 0, "every warp has a part");

  __device__ __forceinline__ static int first_state() { return kSplitStates ? blockIdx.y * (kStates / kShares) : 0; }
  __device__ __forceinline__ static int first_channel() { return kSplitStates ? 0 : blockIdx.y * (kWidth / kShares); }
  __device__ __forceinline__ static int row() { return first_state() + threadIdx.x / 32 % kRowTiles * 16; }
  __device__ __forceinline__ static int column() { return threadIdx.x / 32 / kRowTiles * 16 * kPairs; }
};

template <int kStates, bool kSplitStates, int kShares>
struct StatesShared {
  using Share = StateShare<kStates, kSplitStates, kShares>;
  alignas(16) unsigned char x[2][Share::Rows::kBytes];                 // by their weights
  float numbers[kSplitStates ? 1 : kStates * (Share::kChannels + 1)];  // of a state that is encoded
};

// A warp's part of the state.
template <int kStates, bool kSplitStates, int kShares>
struct WarpState {
  using Share = StateShare<kStates, kSplitStates, kShares>;
  float v[Share::kPairs][2][4];

  // f(state, channel of the block, number)
  template <class F>
  __device__ __forceinline__ void each(const F& f) {
    const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < Share::kPairs * 8; ++i) {
      f(Share::row() + g + i % 4 / 2 * 8, Share::column() + i / 4 * 8 + 2 * q + i % 2, v[i / 8][i / 4 % 2][i % 4]);
    }
  }
  __device__ __forceinline__ void load(const HeadState& stored) {
    each([&](int n, int p, float& number) { number = stored.decode(n, Share::first_channel() + p); });
  }
  // For the outputs; rows g and g + 8 by their scales.
  __device__ __forceinline__ void keep(ChunkState<kStates>* to, const float (&scale)[2]) const {
    const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < Share::kPairs * 4; ++i) {
      const float(&four)[4] = v[i / 4][i / 2 % 2];
      const int n = Share::row() + g + i % 2 * 8;
      const int p = Share::first_channel() + Share::column() + i / 2 * 8 + 2 * q;
      const SplitPair pair = split_pair(four[i % 2 * 2] * scale[i % 2], four[i % 2 * 2 + 1] * scale[i % 2]);
      *reinterpret_cast<uint32_t*>(&to->part[0][n][p]) = pair.high;
      *reinterpret_cast<uint32_t*>(&to->part[1][n][p]) = pair.low;
    }
  }
  // All threads of the block.
  __device__ __forceinline__ void store(const HeadState& stored, float* numbers) {
    if constexpr (!kSplitStates) {
      constexpr int kStride = Share::kChannels + 1;
      each([&](int n, int p, float& number) { numbers[n * kStride + p] = number; });
      __syncthreads();
      if (threadIdx.x < Share::kChannels) {
        encode_channel(stored, kStates, Share::first_channel() + static_cast<int>(threadIdx.x),
                       [&](int64_t n) { return numbers[n * kStride + threadIdx.x]; });
      }
      __syncthreads();
    } else {
      each([&](int n, int p, float& number) { stored.encode(n, p, number); });
    }
  }
};

// Fragments of B for a warp's 16 states, the next few steps of 16 tokens on their way.
template <bool kCodes, int kStates>
struct Ahead {
  static constexpr int kParts = kCodes ? 1 : 2, kAhead = 4 / kParts;
  uint4 fragment[kAhead][kParts];

  __device__ __forceinline__ void load(const ChunkTiles<kStates>* tiles, int row_tile, int k) {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      fragment[k % kAhead][part] = __ldcg(&tiles->b[row_tile][k][part][threadIdx.x % 32]);
    }
  }
  __device__ __forceinline__ void get(int k, uint32_t (&left)[2][4]) const {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const uint4 f = fragment[k % kAhead][part];
      left[part][0] = f.x, left[part][1] = f.y, left[part][2] = f.z, left[part][3] = f.w;
    }
  }
};

template <bool kCodes, int kStates, bool kSplitStates, int kShares>
__global__ void __launch_bounds__(kChunkThreads, 2)
    ssd_chunk_states(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory) {
  using Share = StateShare<kStates, kSplitStates, kShares>;
  using Inputs = ThreadInputs<kCodes, Share::kChannels>;
  extern __shared__ uint4 shared_memory[];
  let_next_start();
  wait_for_previous();
  const int h = blockIdx.x;
  const Segment segment = s.segments[blockIdx.z];
  if (segment.length == 0) return;
  const int64_t number = first_chunk(s, blockIdx.z);
  const int chunks = chunks_of(s, segment), each = (run_length(s, segment) + kChunk - 1) / kChunk;
  const int group = h / (s.heads / s.groups);
  const int64_t head_column = static_cast<int64_t>(h) * kWidth + Share::first_channel();
  const ChunkTiles<kStates>* tiles = memory.tiles + number * s.groups + group;
  const ChunkSteps* steps = memory.steps + number * s.heads + h;
  ChunkState<kStates>* kept = memory.states + number * s.heads + h;
  auto* m = reinterpret_cast<StatesShared<kStates, kSplitStates, kShares>*>(shared_memory);

  const int row_tile = Share::row() / 16, g = threadIdx.x % 32 / 4;
  float b_scale[2] = {1, 1}, c_scale[2] = {1, 1};  // of a thread's states
  if constexpr (kCodes) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int n = group * kStates + Share::row() + g + i * 8;
      b_scale[i] = scale_of(s.b, 0, n), c_scale[i] = scale_of(s.c, 0, n);
    }
  }
  const HeadState stored(s.state, segment.slot, h);
  WarpState<kStates, kSplitStates, kShares> state;
  state.load(stored);
  Inputs inputs;
  inputs.begin(s.x, head_column);
  inputs.load(s.x, chunk_place(s, segment, 0), head_column);
  float weights[Inputs::kEach], decay = __ldcg(&steps->decay_all);
#pragma unroll
  for (int i = 0; i < Inputs::kEach; ++i) weights[i] = __ldcg(&steps->weight[Inputs::row(i)]);
  Ahead<kCodes, kStates> b;
#pragma unroll
  for (int k = 0; k < Ahead<kCodes, kStates>::kAhead; ++k) b.load(tiles, row_tile, k);

  for (int index = 0; index < chunks; ++index) {
    const ChunkPlace chunk = chunk_place(s, segment, index);
    const typename Share::Rows x = {reinterpret_cast<__nv_bfloat16*>(m->x[index % 2])};
#pragma unroll
    for (int i = 0; i < Inputs::kEach; ++i) {
      float v[4];
      inputs.get_scaled(i, v);
      x.put_four(Inputs::row(i), Inputs::column(), v, weights[i]);
    }
    state.keep(kept, c_scale);
    const bool more = index + 1 < chunks;
    const float decay_now = decay;
    if (more) {
      steps += s.heads;
      inputs.load(s.x, chunk_place(s, segment, index + 1), head_column);
      decay = __ldcg(&steps->decay_all);
#pragma unroll
      for (int i = 0; i < Inputs::kEach; ++i) weights[i] = __ldcg(&steps->weight[Inputs::row(i)]);
    }
    __syncthreads();  // one is enough: the other half of x was read before it
    const ChunkTiles<kStates>* next = more ? tiles + s.groups : tiles;
    float sums[Share::kPairs][2][4] = {};
#pragma unroll
    for (int k = 0; k < kTokenTiles; ++k) {
      uint32_t left[2][4];
      b.get(k, left);
      constexpr int kAhead = Ahead<kCodes, kStates>::kAhead;
      b.load(k + kAhead < kTokenTiles ? tiles : next, row_tile, (k + kAhead) % kTokenTiles);
      if (k * 16 < chunk.length) {
#pragma unroll
        for (int pair = 0; pair < Share::kPairs; ++pair) {
          uint32_t right[2][4];
#pragma unroll
          for (int part = 0; part < 2; ++part) {
            load_right(right[part], x, part, k * 16, Share::column() + pair * 16);
          }
          multiply_split<kCodes, false>(sums[pair], left, right);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < Share::kPairs * 8; ++i) {
      float& number = state.v[i / 8][i / 4 % 2][i % 4];
      number = fmaf(sums[i / 8][i / 4 % 2][i % 4], b_scale[i % 4 / 2], decay_now * number);
    }
    tiles = next, kept += s.heads;
    if ((index + 1) % each == 0 || !more) {
      state.store(stored, m->numbers);
      if (more) state.load(stored);
    }
  }
}

template <bool kCodes, int kStates, bool kSplitStates, int kShares>
void launch_states(const SsdScan& s, const ChunkMemory<kStates>& memory, const Stream& stream) {
  const LaunchShape shape = {dim3(static_cast<unsigned>(s.heads), kShares, static_cast<unsigned>(s.segment_count)),
                             dim3(kChunkThreads), sizeof(StatesShared<kStates, kSplitStates, kShares>)};
  launch(ssd_chunk_states<kCodes, kStates, kSplitStates, kShares>, shape, stream, s, memory);
}

template <bool kCodes, int kStates, bool kSplitStates>
void launch_shares(const SsdScan& s, const ChunkMemory<kStates>& memory, const Stream& stream) {
  if constexpr (kStates == 128) {
    // A block goes through its chunks one after the other: more blocks of less work fill a GPU that two a head do not.
    if (int64_t{2} * s.heads * s.segment_count < multiprocessors()) {
      launch_states<kCodes, kStates, kSplitStates, 4>(s, memory, stream);
      return;
    }
  }
  launch_states<kCodes, kStates, kSplitStates, 2>(s, memory, stream);
}

}  // namespace

template <int kStates>
void launch_chunk_states(const SsdScan& s, const ChunkMemory<kStates>& memory, bool codes, const Stream& stream) {
  const bool split_states = s.state.kind != StateKind::kDynamic;
  if (codes)
    split_states ? launch_shares<true, kStates, true>(s, memory, stream)
                 : launch_shares<true, kStates, false>(s, memory, stream);
  else
    split_states ? launch_shares<false, kStates, true>(s, memory, stream)
                 : launch_shares<false, kStates, false>(s, memory, stream);
}

template void launch_chunk_states<64>(const SsdScan&, const ChunkMemory<64>&, bool, const Stream&);
template void launch_chunk_states<128>(const SsdScan&, const ChunkMemory<128>&, bool, const Stream&);

}  // namespace quamba2::cuda
