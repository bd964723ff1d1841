// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks (ssd_scan_chunked.cu), first kernel: what a chunk adds to a head's state, all chunks at once. A block is a
// chunk and head: B and x by its weights pass through shared memory, a warp has a quarter of the states and half of the
// channels.
#include "backends/cuda/ssd_scan_chunk_products.cuh"

namespace quamba2::cuda {
namespace {

using InputRows = SplitTile<kChunk, kWidth + 8>;

template <bool kCodes, int kStates>
struct StatesShared {
  alignas(16) unsigned char b[state_rows_bytes<kCodes, kStates>()];
  alignas(16) unsigned char x[InputRows::kBytes];  // by their weights
  float weight[kChunk];
};

__device__ __forceinline__ float2 two_parts(double v) {
  const auto high = static_cast<float>(v);
  return make_float2(high, static_cast<float>(v - high));
}

// The steps of a head over a chunk, and the weights of its tokens in the state: four tokens a lane. One warp.
__device__ __forceinline__ void chunk_steps(const SsdScan& s, ChunkPlace chunk, int h, ChunkSteps* to, float* weight) {
  constexpr int kEach = kChunk / 32;
  const int lane = threadIdx.x % 32;
  const float rate = expf(s.a_log[h]);
  float delta[kEach];
  double sum[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int t = kEach * lane + i;
    delta[i] = t < chunk.length ? ssd_delta(s, chunk.begin + t, h) : 0.0f;
    sum[i] = static_cast<double>(-fminf(delta[i] * rate, 1e30f));
    if (i > 0) sum[i] += sum[i - 1];
  }
  double before = sum[kEach - 1];
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const double other = __shfl_up_sync(kAllLanes, before, d);
    if (lane >= d) before += other;
  }
  const double all = __shfl_sync(kAllLanes, before, 31);
  before -= sum[kEach - 1];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int t = kEach * lane + i;
    const double alpha = before + sum[i];
    to->alpha[t] = two_parts(alpha * 1.4426950408889634);
    to->delta[t] = delta[i];
    to->decay[t] = expf(static_cast<float>(alpha));
    weight[t] = delta[i] * expf(static_cast<float>(all - alpha));
  }
  if (lane == 0) to->decay_all = expf(static_cast<float>(all));
}

// A warp's part of the sums: kRowTiles times 16 states, two times 16 channels.
template <int kStates>
struct WarpSums {
  static constexpr int kRowTiles = kStates / 64, kPairs = 2;
  float v[kRowTiles][kPairs][2][4];

  __device__ __forceinline__ static int row() { return threadIdx.x / 32 % 4 * 16 * kRowTiles; }
  __device__ __forceinline__ static int column() { return threadIdx.x / 128 * 16 * kPairs; }

  template <bool kCodes>
  __device__ __forceinline__ void multiply(const StateRows<kStates>& b, const InputRows& x, int length) {
#pragma unroll
    for (int k = 0; k < kChunk; k += 16) {
      if (k >= length) break;
      uint32_t left[kRowTiles][2][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
        for (int part = 0; part < (kCodes ? 1 : 2); ++part) load_left_turned(left[i][part], b, part, row() + 16 * i, k);
      }
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        uint32_t right[2][4];
#pragma unroll
        for (int part = 0; part < 2; ++part) load_right(right[part], x, part, k, column() + pair * 16);
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) multiply_split<kCodes, false>(v[i][pair], left[i], right);
      }
    }
  }
  // Sums of codes by the scales of B and x, those of the head's states and channels.
  template <bool kCodes>
  __device__ __forceinline__ void store(const float* b_scales, const float* x_scales, ChunkState<kStates>* to) const {
    const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
    float b_scale[kRowTiles * 2];
#pragma unroll
    for (int i = 0; i < kRowTiles * 2; ++i) b_scale[i] = kCodes ? b_scales[row() + i * 8 + g] : 1.0f;
#pragma unroll
    for (int at = 0; at < kPairs * 2; ++at) {
      const int p = column() + at * 8 + 2 * q;
      const float2 x_scale = kCodes ? make_float2(x_scales[p], x_scales[p + 1]) : make_float2(1, 1);
#pragma unroll
      for (int i = 0; i < kRowTiles * 2; ++i) {
        const float(&four)[4] = v[i / 2][at / 2][at % 2];
        float2* out = reinterpret_cast<float2*>(&to->run[row() + i * 8 + g][p / 8][0]) + q;
        *out = make_float2(four[i % 2 * 2] * b_scale[i] * x_scale.x, four[i % 2 * 2 + 1] * b_scale[i] * x_scale.y);
      }
    }
  }
};

template <bool kCodes, int kStates>
__device__ __forceinline__ void chunk_sums(const SsdScan& s, ChunkPlace chunk, int h, StatesShared<kCodes, kStates>* m,
                                           ChunkSteps* steps, ChunkState<kStates>* to) {
  using Inputs = ThreadInputs<kCodes, kChunkThreads>;
  const int first_channel = h * kWidth, first_state = h / (s.heads / s.groups) * kStates;
  Inputs inputs;
  inputs.load(s.x, chunk, first_channel);
  if (threadIdx.x < 32) chunk_steps(s, chunk, h, steps, m->weight);
  stage_b<kCodes, kStates>(s, chunk, first_state, m->b);
  __syncthreads();
  const InputRows x = {reinterpret_cast<__nv_bfloat16*>(m->x)};
  inputs.put_weighted(x, m->weight);
  __syncthreads();
  WarpSums<kStates> sums = {};
  sums.template multiply<kCodes>({reinterpret_cast<__nv_bfloat16*>(m->b)}, x, chunk.length);
  sums.template store<kCodes>(static_cast<const float*>(s.b.scales) + first_state,
                              static_cast<const float*>(s.x.scales) + first_channel, to);
}

template <bool kCodes, int kStates>
__global__ void __launch_bounds__(kChunkThreads, kCodes ? 3 : 2)
    ssd_chunk_states(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory) {
  extern __shared__ uint4 shared_memory[];
  let_next_start();
  wait_for_previous();
  const int h = static_cast<int>(blockIdx.x), number = static_cast<int>(blockIdx.y);
  ChunkPlace chunk;
  if (!find_chunk(s, number, chunk)) return;
  const int64_t at = static_cast<int64_t>(number) * s.heads + h;
  chunk_sums(s, chunk, h, reinterpret_cast<StatesShared<kCodes, kStates>*>(shared_memory), memory.steps + at,
             memory.states + at);
}

template <bool kCodes, int kStates>
void launch_states(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, const Stream& stream) {
  const dim3 grid(static_cast<unsigned>(s.heads), static_cast<unsigned>(most_chunks));
  launch(ssd_chunk_states<kCodes, kStates>, {grid, dim3(kChunkThreads), sizeof(StatesShared<kCodes, kStates>)}, stream,
         s, memory);
}

}  // namespace

template <int kStates>
void launch_chunk_states(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, bool codes,
                         const Stream& stream) {
  if (codes)
    launch_states<true, kStates>(s, memory, most_chunks, stream);
  else
    launch_states<false, kStates>(s, memory, most_chunks, stream);
}

template void launch_chunk_states<64>(const SsdScan&, const ChunkMemory<64>&, int32_t, bool, const Stream&);
template void launch_chunk_states<128>(const SsdScan&, const ChunkMemory<128>&, int32_t, bool, const Stream&);

}  // namespace quamba2::cuda
