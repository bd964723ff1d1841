// SPDX-License-Identifier: Apache-2.0
// What the kernels of ssd_scan_chunked.cu share: the chunks of a call, and what is kept of each.
#pragma once

#include "backends/cuda/device/split.cuh"
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2::cuda {

constexpr int kChunk = 128, kWidth = 64, kChunkThreads = 256, kTokenTiles = kChunk / 16;

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
  int length;
};
// Chunk `index` of a segment.
__device__ __forceinline__ ChunkPlace chunk_place(const SsdScan& s, const Segment& segment, int index) {
  const int run = run_length(s, segment), each = (run + kChunk - 1) / kChunk;
  const int at = index / each * run + index % each * kChunk, end = min((index / each + 1) * run, segment.length);
  return {int64_t{segment.begin} + at, min(kChunk, end - at)};
}
// Chunk `index` of a call; false behind the last one. All lanes of a warp.
__device__ __forceinline__ bool find_chunk(const SsdScan& s, int index, ChunkPlace& place) {
  const int lane = threadIdx.x % 32;
  for (int first = 0; first < s.segment_count; first += 32) {
    Segment own = {};
    if (first + lane < s.segment_count) own = s.segments[first + lane];
    const int count = first + lane < s.segment_count ? chunks_of(s, own) : 0;
    int end = count;
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
      const int before = __shfl_up_sync(kAllLanes, end, d);
      if (lane >= d) end += before;
    }
    const unsigned behind = __ballot_sync(kAllLanes, index < end);
    if (behind != 0) {
      const int at = __ffs(static_cast<int>(behind)) - 1;
      const Segment segment = {__shfl_sync(kAllLanes, own.begin, at), __shfl_sync(kAllLanes, own.length, at), 0};
      place = chunk_place(s, segment, index - __shfl_sync(kAllLanes, end - count, at));
      return true;
    }
    index -= __shfl_sync(kAllLanes, end, 31);
  }
  return false;
}
// The number of a segment's first chunk. All lanes of a warp.
__device__ __forceinline__ int first_chunk(const SsdScan& s, int segment) {
  int sum = 0;
  for (int i = threadIdx.x % 32; i < segment; i += 32) sum += chunks_of(s, s.segments[i]);
#pragma unroll
  for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(kAllLanes, sum, d);
  return sum;
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
__host__ __device__ __forceinline__ bool reads_together(const Numbers& x) {
  const int size = x.dtype == DType::kI8 ? 1 : 4;
  return x.stride % 4 == 0 && reinterpret_cast<int64_t>(x.data) % (4 * size) == 0;
}

// Of a chunk and group: C as left operands of the tensor cores in the order in which lanes have them (ptx.cuh), high parts and
// low ones. Codes are one part, without their scales.
template <int kStates>
struct ChunkTiles {
  static constexpr int kSteps = kStates / 16;
  uint4 c[kTokenTiles][kSteps][2][32];                          // C [tokens, states]
  float4 products[kTokenTiles * (kTokenTiles + 1) / 2][2][32];  // C_i . B_j, blocks on and below the diagonal
};

// Of a chunk and head. decay: of the state before the chunk at a token, and behind its last one.
struct ChunkSteps {
  float2 alpha[kChunk];  // to the base 2, in two parts whose differences do not cancel
  float delta[kChunk], decay[kChunk];
  float decay_all, unused[3];
};

// Of a chunk and head, in runs of eight channels: first what the chunk adds to the state, in f32, then in the same bytes the
// state before it, high parts and low ones. Where C are codes, their scales are in the latter.
template <int kStates>
struct ChunkState {
  static constexpr int kRuns = kWidth / 8;
  uint4 run[kStates][kRuns][2];
};

template <int kStates>
struct ChunkMemory {
  ChunkTiles<kStates>* tiles;   // [chunks][groups]
  ChunkSteps* steps;            // [chunks][heads]
  ChunkState<kStates>* states;  // [chunks][heads]
};

// Codes that can be read sixteen at a time from columns that are multiples of 16.
__host__ __device__ __forceinline__ bool reads_sixteen(const Numbers& x) {
  return x.stride % 16 == 0 && reinterpret_cast<int64_t>(x.data) % 16 == 0;
}
__device__ __forceinline__ uint4 load_sixteen(const Numbers& x, int64_t row, int64_t column) {
  return *reinterpret_cast<const uint4*>(static_cast<const int8_t*>(x.data) + row * x.stride + column);
}
__device__ __forceinline__ void numbers_in(uint32_t word, float (&v)[4]) {
  const char4 c = *reinterpret_cast<const char4*>(&word);
  v[0] = c.x, v[1] = c.y, v[2] = c.z, v[3] = c.w;
}
__device__ __forceinline__ uint32_t bits_of_pair(float a, float b) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
// Sixteen codes into a row of a tile, which has no low part.
template <class Tile>
__device__ __forceinline__ void put_codes(const Tile& tile, int row, int column, const uint4& codes) {
  const uint32_t words[4] = {codes.x, codes.y, codes.z, codes.w};
  auto* to = reinterpret_cast<uint4*>(const_cast<__nv_bfloat16*>(tile.at(0, row, column)));
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float a[4], b[4];
    numbers_in(words[2 * i], a), numbers_in(words[2 * i + 1], b);
    to[i] = make_uint4(bits_of_pair(a[0], a[1]), bits_of_pair(a[2], a[3]), bits_of_pair(b[0], b[1]),
                       bits_of_pair(b[2], b[3]));
  }
}

// A thread's numbers of a head's x: sixteen neighbouring codes, or four floats, of every (kThreads / kAcross)th token.
template <bool kCodes, int kThreads>
struct ThreadInputs {
  static constexpr int kTogether = kCodes ? 16 : 4, kAcross = kWidth / kTogether, kEach = kChunk * kAcross / kThreads;
  uint4 raw[kEach];

  __device__ __forceinline__ static int row(int i) { return (i * kThreads + static_cast<int>(threadIdx.x)) / kAcross; }
  __device__ __forceinline__ static int column() { return static_cast<int>(threadIdx.x) % kAcross * kTogether; }
  __device__ __forceinline__ void load(const Numbers& x, ChunkPlace chunk, int64_t first) {
    const bool together = reads_together(x);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      raw[i] = make_uint4(0, 0, 0, 0);
      if (row(i) >= chunk.length) continue;
      if constexpr (kCodes) {
        raw[i] = load_sixteen(x, chunk.begin + row(i), first + column());
      } else {
        float v[4];
        load_four(x, chunk.begin + row(i), static_cast<int>(first) + column(), together, v);
        raw[i] = make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3]));
      }
    }
  }
  // Into a tile, codes without their scale.
  template <class Tile>
  __device__ __forceinline__ void put(const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      if constexpr (kCodes)
        put_codes(tile, row(i), column(), raw[i]);
      else
        put_floats(tile, i, 1.0f);
    }
  }
  // Into a tile, each token by its weight, in two parts.
  template <class Tile>
  __device__ __forceinline__ void put_weighted(const Tile& tile, const float* weight) const {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const float by = weight[row(i)];
      if constexpr (!kCodes) {
        put_floats(tile, i, by);
      } else {
        const uint32_t words[4] = {raw[i].x, raw[i].y, raw[i].z, raw[i].w};
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          float a[4], b[4];
          numbers_in(words[2 * half], a), numbers_in(words[2 * half + 1], b);
          tile.put_eight(row(i), column() + half * 8, a, b, by);
        }
      }
    }
  }

 private:
  template <class Tile>
  __device__ __forceinline__ void put_floats(const Tile& tile, int i, float by) const {
    const float v[4] = {__uint_as_float(raw[i].x), __uint_as_float(raw[i].y), __uint_as_float(raw[i].z),
                        __uint_as_float(raw[i].w)};
    tile.put_four(row(i), column(), v, by);
  }
};

// Launches of the kernels, in their order. `codes`: x, B and C are codes that can be read sixteen at a time.
template <int kStates>
void launch_chunk_states(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, bool codes,
                         const Stream& stream);
template <int kStates>
void launch_chunk_carry(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, bool codes,
                        const Stream& stream);
template <int kStates>
void launch_chunk_outputs(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, bool codes,
                          const Stream& stream);

}  // namespace quamba2::cuda
