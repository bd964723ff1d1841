// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks (ssd_scan_chunked.cu), second kernel: states from chunk to chunk. A block has all states of 16 channels
// of a head of a segment (so that a channel's dynamic scales need no other block), a thread eight channels of a state. What
// the next chunks add is on its way while a state is written over what its own chunk added.
#include "backends/cuda/ssd_scan_chunks.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kShares = 4, kChannels = kWidth / kShares, kAhead = 4;

// What a thread carries of a state: eight channels of row n.
template <int kStates>
struct Carried {
  float v[8];

  __device__ __forceinline__ static int row() { return threadIdx.x / 2; }
  __device__ __forceinline__ static int run() { return blockIdx.y * 2 + threadIdx.x % 2; }

  __device__ __forceinline__ void load(const HeadState& stored) {
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = stored.decode(row(), run() * 8 + i);
  }
  // All threads of the block.
  __device__ __forceinline__ void store(const HeadState& stored, float* numbers) {
    if (stored.kind != StateKind::kDynamic) {
#pragma unroll
      for (int i = 0; i < 8; ++i) stored.encode(row(), run() * 8 + i, v[i]);
      return;
    }
    constexpr int kStride = kChannels + 1;
#pragma unroll
    for (int i = 0; i < 8; ++i) numbers[row() * kStride + threadIdx.x % 2 * 8 + i] = v[i];
    __syncthreads();
    if (threadIdx.x < kChannels) {
      encode_channel(stored, kStates, blockIdx.y * kChannels + threadIdx.x,
                     [&](int64_t n) { return numbers[n * kStride + threadIdx.x]; });
    }
    __syncthreads();
  }
  // For the outputs.
  __device__ __forceinline__ void keep(uint4 (&to)[2], float scale) const {
    SplitPair pair[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) pair[i] = split_pair(v[2 * i] * scale, v[2 * i + 1] * scale);
    to[0] = make_uint4(pair[0].high, pair[1].high, pair[2].high, pair[3].high);
    to[1] = make_uint4(pair[0].low, pair[1].low, pair[2].low, pair[3].low);
  }
  __device__ __forceinline__ void add(float decay, const float4 (&more)[2]) {
    const float from[8] = {more[0].x, more[0].y, more[0].z, more[0].w, more[1].x, more[1].y, more[1].z, more[1].w};
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = fmaf(decay, v[i], from[i]);
  }
};

// What a chunk adds, and the decay over it.
struct Addend {
  float4 v[2];
  float decay;

  __device__ __forceinline__ void load(const uint4 (&from)[2], const ChunkSteps& steps) {
    v[0] = __ldcg(reinterpret_cast<const float4*>(&from[0])), v[1] = __ldcg(reinterpret_cast<const float4*>(&from[1]));
    decay = __ldcg(&steps.decay_all);
  }
};

template <int kStates>
__global__ void __launch_bounds__(kStates * 2, 3)
    ssd_chunk_carry(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory, bool codes) {
  using State = Carried<kStates>;
  __shared__ float numbers[kStates * (kChannels + 1)];
  let_next_start();
  wait_for_previous();
  const int h = blockIdx.x;
  const Segment segment = s.segments[blockIdx.z];
  if (segment.length == 0) return;
  const int64_t number = first_chunk(s, blockIdx.z) * static_cast<int64_t>(s.heads) + h;
  const int chunks = chunks_of(s, segment), each = (run_length(s, segment) + kChunk - 1) / kChunk;
  const float scale = codes ? scale_of(s.c, 0, h / (s.heads / s.groups) * kStates + State::row()) : 1.0f;
  ChunkState<kStates>* states = memory.states + number;
  const ChunkSteps* steps = memory.steps + number;
  const auto run_of = [&](int index) -> uint4(&)[2] {
    return states[static_cast<int64_t>(index) * s.heads].run[State::row()][State::run()];
  };
  Addend next[kAhead];
#pragma unroll
  for (int i = 0; i < kAhead; ++i) {
    if (i < chunks) next[i].load(run_of(i), steps[static_cast<int64_t>(i) * s.heads]);
  }
  const HeadState stored(s.state, segment.slot, h);
  State state;
  state.load(stored);
  for (int first = 0; first < chunks; first += kAhead) {
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int index = first + i;
      if (index >= chunks) break;
      const Addend now = next[i];
      if (index + kAhead < chunks) {
        next[i].load(run_of(index + kAhead), steps[static_cast<int64_t>(index + kAhead) * s.heads]);
      }
      state.keep(run_of(index), scale);
      state.add(now.decay, now.v);
      if ((index + 1) % each == 0 || index + 1 == chunks) {
        state.store(stored, numbers);
        if (index + 1 < chunks) state.load(stored);
      }
    }
  }
}

}  // namespace

template <int kStates>
void launch_chunk_carry(const SsdScan& s, const ChunkMemory<kStates>& memory, bool codes, const Stream& stream) {
  const dim3 grid(static_cast<unsigned>(s.heads), kShares, static_cast<unsigned>(s.segment_count));
  launch(ssd_chunk_carry<kStates>, {grid, dim3(kStates * 2)}, stream, s, memory, codes);
}

template void launch_chunk_carry<64>(const SsdScan&, const ChunkMemory<64>&, bool, const Stream&);
template void launch_chunk_carry<128>(const SsdScan&, const ChunkMemory<128>&, bool, const Stream&);

}  // namespace quamba2::cuda
