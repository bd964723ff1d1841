// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks (ssd_scan_chunked.cu), second kernel: states from chunk to chunk. A block has all states of a few channels
// of a head of a segment (so that a channel's dynamic scales need no other block), a thread eight channels of a state. What
// the next chunks add is on its way while a state is written over what its own chunk added. Blocks behind those make the
// products of a chunk and group: these wait for nothing, and leave the first kernel to its heads.
#include "backends/cuda/ssd_scan_chunk_products.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kAhead = 4;

// Eight channels of a block's states a thread.
template <int kStates>
struct Share {
  static constexpr int kRuns = kChunkThreads / kStates, kChannels = 8 * kRuns, kShares = kWidth / kChannels;
  static constexpr int kStride = kChannels + 1;  // floats a state, where they pass through shared memory

  __device__ __forceinline__ static int row() { return threadIdx.x / kRuns; }
  __device__ __forceinline__ static int run() { return threadIdx.x % kRuns; }  // of the block's
  __device__ __forceinline__ static float* mine(float* numbers) { return numbers + row() * kStride + run() * 8; }
};

// Any format, a few instructions that are not repeated: numbers of a block's channels, from `first` on, to and from shared
// memory. All threads of the block.
template <int kStates>
__device__ __noinline__ void load_numbers(const HeadState& stored, int first, float* numbers) {
  constexpr int kChannels = Share<kStates>::kChannels;
  __syncthreads();
#pragma unroll 1
  for (int i = threadIdx.x; i < kStates * kChannels; i += kChunkThreads) {
    numbers[i / kChannels * Share<kStates>::kStride + i % kChannels] =
        stored.decode(i / kChannels, first + i % kChannels);
  }
  __syncthreads();
}
template <int kStates>
__device__ __noinline__ void store_numbers(const HeadState& stored, int first, const float* numbers) {
  constexpr int kChannels = Share<kStates>::kChannels, kStride = Share<kStates>::kStride;
  __syncthreads();
  if (stored.kind == StateKind::kDynamic) {
    if (threadIdx.x < kChannels) {
      encode_channel(stored, kStates, first + static_cast<int>(threadIdx.x),
                     [&](int64_t n) { return numbers[n * kStride + threadIdx.x]; });
    }
  } else {
#pragma unroll 1
    for (int i = threadIdx.x; i < kStates * kChannels; i += kChunkThreads) {
      stored.encode(i / kChannels, first + i % kChannels, numbers[i / kChannels * kStride + i % kChannels]);
    }
  }
  __syncthreads();
}

// What a thread carries of a state.
template <int kStates>
struct Carried {
  float v[8];

  // Halves that can be read eight at a time, or null.
  __device__ __forceinline__ static uint4* halves(const HeadState& stored, int first) {
    if (stored.kind != StateKind::kFloat || stored.dtype != DType::kF16) return nullptr;
    char* at = stored.data + (Share<kStates>::row() * stored.row_stride + first + Share<kStates>::run() * 8) * 2;
    return reinterpret_cast<int64_t>(at) % 16 == 0 && stored.row_stride % 8 == 0 ? reinterpret_cast<uint4*>(at)
                                                                                : nullptr;
  }
  // All threads of the block.
  __device__ __forceinline__ void load(const HeadState& stored, int first, float* numbers) {
    if (const uint4* from = halves(stored, first)) {
      const uint4 bits = *from;
      const uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 two = __half22float2(*reinterpret_cast<const __half2*>(&words[i]));
        v[2 * i] = two.x, v[2 * i + 1] = two.y;
      }
      return;
    }
    load_numbers<kStates>(stored, first, numbers);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = Share<kStates>::mine(numbers)[i];
  }
  __device__ __forceinline__ void store(const HeadState& stored, int first, float* numbers) const {
    if (uint4* to = halves(stored, first)) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const __half2 two = __floats2half2_rn(v[2 * i], v[2 * i + 1]);
        words[i] = *reinterpret_cast<const uint32_t*>(&two);
      }
      *to = make_uint4(words[0], words[1], words[2], words[3]);
      return;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) Share<kStates>::mine(numbers)[i] = v[i];
    store_numbers<kStates>(stored, first, numbers);
  }
  // For the outputs.
  __device__ __forceinline__ void keep(uint4* to, float scale) const {
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

  __device__ __forceinline__ void load(const uint4* from, const ChunkSteps* steps) {
    v[0] = __ldcg(reinterpret_cast<const float4*>(from)), v[1] = __ldcg(reinterpret_cast<const float4*>(from + 1));
    decay = __ldcg(&steps->decay_all);
  }
};

// Through `chunks` chunks between two roundings of the state, which lie `step` pieces of 16 bytes apart, their steps `heads`.
template <int kStates>
__device__ __forceinline__ void carry_run(Carried<kStates>& state, int chunks, float scale, uint4* now, int64_t step,
                                          const ChunkSteps* steps, int heads) {
  const uint4* ask = now;
  Addend next[kAhead];
#pragma unroll
  for (int i = 0; i < kAhead; ++i) {
    if (i < chunks) next[i].load(ask, steps);
    ask += step, steps += heads;
  }
  for (int first = 0; first < chunks; first += kAhead) {
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      if (first + i >= chunks) break;
      const Addend add = next[i];
      if (first + i + kAhead < chunks) next[i].load(ask, steps);
      ask += step, steps += heads;
      state.keep(now, scale);
      now += step;
      state.add(add.decay, add.v);
    }
  }
}

template <int kStates>
__device__ __forceinline__ void carry_states(const SsdScan& s, const ChunkMemory<kStates>& memory, bool codes, int h,
                                             int share, int at_segment, float* numbers) {
  using Own = Share<kStates>;
  const Segment segment = s.segments[at_segment];
  if (segment.length == 0) return;
  const int64_t number = first_chunk(s, at_segment) * static_cast<int64_t>(s.heads) + h;
  const int chunks = chunks_of(s, segment), each = (run_length(s, segment) + kChunk - 1) / kChunk;
  const int first_channel = share * Own::kChannels, first_state = h / (s.heads / s.groups) * kStates;
  const float scale = codes ? static_cast<const float*>(s.c.scales)[first_state + Own::row()] : 1.0f;
  const HeadState stored(s.state, segment.slot, h);
  for (int index = 0; index < chunks; index += each) {
    Carried<kStates> state;
    state.load(stored, first_channel, numbers);
    const int64_t at = number + static_cast<int64_t>(index) * s.heads;
    carry_run(state, min(each, chunks - index), scale,
              memory.states[at].run[Own::row()][share * Own::kRuns + Own::run()],
              static_cast<int64_t>(s.heads) * static_cast<int64_t>(sizeof(ChunkState<kStates>) / sizeof(uint4)),
              memory.steps + at, s.heads);
    state.store(stored, first_channel, numbers);
  }
}

template <bool kCodes, int kStates>
union CarryShared {
  float numbers[kStates * Share<kStates>::kStride];
  ProductsShared<kCodes, kStates> products;
};

// One row of blocks: those that carry, [segment][share][head], then the products, [chunk][group][piece].
template <bool kCodes, int kStates>
__global__ void __launch_bounds__(kChunkThreads, kCodes ? 3 : 2)
    ssd_chunk_carry(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory) {
  extern __shared__ uint4 shared_memory[];
  auto* m = reinterpret_cast<CarryShared<kCodes, kStates>*>(shared_memory);
  let_next_start();
  wait_for_previous();
  const int carrying = s.segment_count * Share<kStates>::kShares * s.heads;
  int index = static_cast<int>(blockIdx.x);
  if (index < carrying) {
    const int h = index % s.heads, rest = index / s.heads;
    carry_states(s, memory, kCodes, h, rest % Share<kStates>::kShares, rest / Share<kStates>::kShares, m->numbers);
    return;
  }
  index -= carrying;
  const int piece = index % kPieces, group = index / kPieces % s.groups, number = index / kPieces / s.groups;
  ChunkPlace chunk;
  if (!find_chunk(s, number, chunk)) return;
  chunk_products(s, chunk, group, piece, &m->products, memory.tiles + static_cast<int64_t>(number) * s.groups + group);
}

template <bool kCodes, int kStates>
void launch_carry(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, const Stream& stream) {
  const int32_t carrying = s.segment_count * Share<kStates>::kShares * s.heads;
  const dim3 grid(static_cast<unsigned>(carrying + most_chunks * s.groups * kPieces));
  launch(ssd_chunk_carry<kCodes, kStates>, {grid, dim3(kChunkThreads), sizeof(CarryShared<kCodes, kStates>)}, stream, s,
         memory);
}

}  // namespace

template <int kStates>
void launch_chunk_carry(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, bool codes,
                        const Stream& stream) {
  if (codes)
    launch_carry<true, kStates>(s, memory, most_chunks, stream);
  else
    launch_carry<false, kStates>(s, memory, most_chunks, stream);
}

template void launch_chunk_carry<64>(const SsdScan&, const ChunkMemory<64>&, int32_t, bool, const Stream&);
template void launch_chunk_carry<128>(const SsdScan&, const ChunkMemory<128>&, int32_t, bool, const Stream&);

}  // namespace quamba2::cuda
