// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks (ssd_scan_chunked.cu), third kernel: the outputs of a chunk and head, a block of four warps each. A warp has
// two tiles of 16 tokens, one of the first and one of the last, so that all have as many products with the chunk's own tokens,
// and all 64 channels. Left operands (C, and C_i . B_j by its decays) are in registers, right ones (the state before the chunk, x)
// in shared memory, from where both tiles use them.
#include "backends/cuda/ssd_scan_chunks.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kOutputThreads = 128, kStride = kWidth + 8, kPairs = kWidth / 16;

template <int kStates>
using StateTile = SplitTile<kStates, kStride>;
using InputTile = SplitTile<kChunk, kStride>;

template <bool kCodes, int kStates>
struct OutputsShared {
  alignas(16) unsigned char state[StateTile<kStates>::kBytes];
  alignas(16) unsigned char x[InputTile::kBytes / (kCodes ? 2 : 1)];  // codes have no low part
  float2 alpha[kChunk];
  float delta[kChunk];
};

// 2^v; numbers below 2^-126 are zero.
__device__ __forceinline__ float power_of_two(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
__device__ __forceinline__ float decay_between(float2 from, float2 to) {
  return power_of_two((to.x - from.x) + (to.y - from.y));
}

// A warp's tile of tokens: `which` is 0 or 1.
__device__ __forceinline__ int warp_tile(int which) {
  const int warp = threadIdx.x / 32;
  return which == 0 ? warp : kTokenTiles - 1 - warp;
}

using Sums = float[kPairs][2][4];

// C_i S over the states, of both tiles of a warp. Fragments of C arrive kBatch steps at a time.
template <bool kCodes, int kStates>
struct StatePart {
  static constexpr int kParts = kCodes ? 1 : 2, kBatch = kCodes ? 4 : 2;
  uint4 c[2][kBatch][kParts];

  __device__ __forceinline__ void load(const ChunkTiles<kStates>* tiles, int first) {
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
#pragma unroll
      for (int i = 0; i < 2 * kParts; ++i) {
        c[i / kParts][k][i % kParts] =
            __ldcg(&tiles->c[warp_tile(i / kParts)][first + k][i % kParts][threadIdx.x % 32]);
      }
    }
  }
  __device__ __forceinline__ void multiply(const StateTile<kStates>& state, int first, Sums (&y)[2]) const {
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        uint32_t right[2][4];
#pragma unroll
        for (int part = 0; part < 2; ++part) load_right(right[part], state, part, (first + k) * 16, pair * 16);
#pragma unroll
        for (int which = 0; which < 2; ++which) {
          uint32_t left[2][4];
#pragma unroll
          for (int part = 0; part < kParts; ++part) {
            const uint4 f = c[which][k][part];
            left[part][0] = f.x, left[part][1] = f.y, left[part][2] = f.z, left[part][3] = f.w;
          }
          multiply_split<kCodes, false>(y[which][pair], left, right);
        }
      }
    }
  }
};

// delta_j exp(alpha_i - alpha_j) C_i . B_j for a tile's tokens i and 16 tokens j from `first`, in two parts. at: alpha of a
// lane's two tokens; since: their decays since the tile's first token, whose alpha is `begin`. Tokens of other tiles lie before
// that, so that their decay is a product of two that are at most one.
template <bool kSameTile>
__device__ __forceinline__ void mixed_fragment(const float2* alpha, const float* delta, const float4 (&products)[2],
                                               const float2 (&at)[2], float2 begin, const float (&since)[2],
                                               int first, uint32_t (&left)[2][4]) {
  const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
  const float cb[8] = {products[0].x, products[0].y, products[0].z, products[0].w,
                       products[1].x, products[1].y, products[1].z, products[1].w};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int j = half * 8 + 2 * q;  // in its tile
    const float4 from = *reinterpret_cast<const float4*>(alpha + first + j);
    const float2 first_from = make_float2(from.x, from.y), second_from = make_float2(from.z, from.w);
    float2 d = *reinterpret_cast<const float2*>(delta + first + j);
    if constexpr (!kSameTile) d.x *= decay_between(first_from, begin), d.y *= decay_between(second_from, begin);
#pragma unroll
    for (int low = 0; low < 2; ++low) {
      const int r = half * 2 + low;
      float a = cb[r * 2] * d.x, b = cb[r * 2 + 1] * d.y;
      if constexpr (kSameTile) {
        const int i = g + low * 8;
        a = j <= i ? a * decay_between(first_from, at[low]) : 0.0f;
        b = j + 1 <= i ? b * decay_between(second_from, at[low]) : 0.0f;
      } else {
        a *= since[low], b *= since[low];
      }
      const SplitPair pair = split_pair(a, b);
      left[0][r] = pair.high, left[1][r] = pair.low;
    }
  }
}

template <bool kCodes>
__device__ __forceinline__ void multiply_inputs(const InputTile& x, int first, const uint32_t (&left)[2][4], Sums& y) {
#pragma unroll
  for (int pair = 0; pair < kPairs; ++pair) {
    uint32_t right[2][4];
#pragma unroll
    for (int part = 0; part < (kCodes ? 1 : 2); ++part) load_right(right[part], x, part, first, pair * 16);
    multiply_split<false, kCodes>(y[pair], left, right);
  }
}

// The chunk's own tokens in the sums of a tile. Products arrive two steps ahead.
template <bool kCodes, int kStates>
__device__ __forceinline__ void add_mixed(const ChunkTiles<kStates>* tiles, const OutputsShared<kCodes, kStates>& m,
                                          const InputTile& x, int tile, Sums& y) {
  const int lane = threadIdx.x % 32, token = tile * 16;
  const float2 at[2] = {m.alpha[token + lane / 4], m.alpha[token + lane / 4 + 8]}, begin = m.alpha[token];
  const float since[2] = {decay_between(begin, at[0]), decay_between(begin, at[1])};
  const float4(*from)[2][32] = tiles->products + tile * (tile + 1) / 2;
  float4 own[2] = {__ldcg(&from[tile][0][lane]), __ldcg(&from[tile][1][lane])}, next[2][2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (i < tile) next[i][0] = __ldcg(&from[i][0][lane]), next[i][1] = __ldcg(&from[i][1][lane]);
  }
  uint32_t left[2][4];
  mixed_fragment<true>(m.alpha, m.delta, own, at, begin, since, token, left);
  multiply_inputs<kCodes>(x, token, left, y);
  for (int first = 0; first < tile; first += 2) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int k = first + i;
      if (k >= tile) break;
      mixed_fragment<false>(m.alpha, m.delta, next[i], at, begin, since, k * 16, left);
      if (k + 2 < tile) next[i][0] = __ldcg(&from[k + 2][0][lane]), next[i][1] = __ldcg(&from[k + 2][1][lane]);
      multiply_inputs<kCodes>(x, k * 16, left, y);
    }
  }
}

template <bool kCodes>
__device__ __forceinline__ float2 input_pair(const InputTile& x, int row, int p, float2 scale) {
  const float2 high = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x.at(0, row, p)));
  if constexpr (kCodes) return make_float2(high.x * scale.x, high.y * scale.y);
  const float2 low = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x.at(1, row, p)));
  return make_float2(high.x + low.x, high.y + low.y);
}

// The outputs of a tile: what the state gives by its decay, its own tokens by the scales of x, D x.
template <bool kCodes, bool kFloats>
__device__ __forceinline__ void store_outputs(const SsdScan& s, ChunkPlace chunk, int h, const InputTile& x, int tile,
                                              const float (&decay)[2], const Sums& from_state, const Sums& own) {
  const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4, head_column = h * kWidth, first_row = tile * 16 + g;
  const float* scales = static_cast<const float*>(s.x.scales) + head_column;
  const float head_skip = skip_weight(s, h, 0);
#pragma unroll
  for (int at = 0; at < kPairs * 2; ++at) {
    const int p = at * 8 + 2 * q;
    const float2 scale = kCodes ? make_float2(scales[p], scales[p + 1]) : make_float2(1, 1);
    float2 skip = make_float2(head_skip, head_skip);
    if (s.d_per_channel) skip = make_float2(s.d[head_column + p], s.d[head_column + p + 1]);
#pragma unroll
    for (int low = 0; low < 2; ++low) {
      const int row = first_row + low * 8;
      if (row >= chunk.length) break;
      const float(&a)[4] = from_state[at / 2][at % 2];
      const float(&b)[4] = own[at / 2][at % 2];
      const float2 in = input_pair<kCodes>(x, row, p, scale);
      const float2 y = make_float2(fmaf(skip.x, in.x, fmaf(b[low * 2], scale.x, a[low * 2] * decay[low])),
                                   fmaf(skip.y, in.y, fmaf(b[low * 2 + 1], scale.y, a[low * 2 + 1] * decay[low])));
      const int64_t token = chunk.begin + row;
      if constexpr (kFloats) {
        *reinterpret_cast<float2*>(static_cast<float*>(s.out.data) + token * s.out.stride + head_column + p) = y;
      } else {
        store_number(s.out, token, head_column + p, y.x);
        store_number(s.out, token, head_column + p + 1, y.y);
      }
    }
  }
}

// Copies that run beside the code: the state, alpha and delta.
template <bool kCodes, int kStates>
__device__ __forceinline__ void copy_chunk(const ChunkState<kStates>& state, const ChunkSteps& steps,
                                           OutputsShared<kCodes, kStates>* m) {
  constexpr int kRuns = ChunkState<kStates>::kRuns;
#pragma unroll 4
  for (int i = threadIdx.x; i < kStates * kRuns * 2; i += kOutputThreads) {
    const int n = i / 2 / kRuns, run = i / 2 % kRuns, part = i % 2;
    copy_16(m->state + ((part * kStates + n) * kStride + run * 8) * 2, &state.run[n][run][part]);
  }
  if (threadIdx.x < kChunk / 2) copy_16(m->alpha + 2 * threadIdx.x, steps.alpha + 2 * threadIdx.x);
  if (threadIdx.x < kChunk / 4) copy_16(m->delta + 4 * threadIdx.x, steps.delta + 4 * threadIdx.x);
  commit_copies();
}

template <bool kCodes, int kStates>
__global__ void __launch_bounds__(kOutputThreads, 3)
    ssd_chunk_outputs(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory) {
  extern __shared__ uint4 shared_memory[];
  let_next_start();
  wait_for_previous();
  const int h = blockIdx.x;
  const int64_t number = blockIdx.y;
  ChunkPlace chunk;
  if (!find_chunk(s, static_cast<int>(number), chunk)) return;
  const ChunkTiles<kStates>* tiles = memory.tiles + number * s.groups + h / (s.heads / s.groups);
  const ChunkSteps* steps = memory.steps + number * s.heads + h;
  auto* m = reinterpret_cast<OutputsShared<kCodes, kStates>*>(shared_memory);
  copy_chunk(memory.states[number * s.heads + h], *steps, m);
  StatePart<kCodes, kStates> part;
  part.load(tiles, 0);
  const InputTile x = {reinterpret_cast<__nv_bfloat16*>(m->x)};
  ThreadInputs<kCodes, kOutputThreads> inputs;
  inputs.load(s.x, chunk, static_cast<int64_t>(h) * kWidth);
  inputs.put(x);
  wait_copies<0>();
  __syncthreads();
  if (warp_tile(0) * 16 >= chunk.length) return;

  const bool floats =
      s.out.dtype == DType::kF32 && s.out.stride % 2 == 0 && reinterpret_cast<int64_t>(s.out.data) % 8 == 0;
  const StateTile<kStates> state = {reinterpret_cast<__nv_bfloat16*>(m->state)};
  Sums from_state[2] = {};
#pragma unroll
  for (int k = 0; k < kStates / 16; k += StatePart<kCodes, kStates>::kBatch) {
    if (k > 0) part.load(tiles, k);
    part.multiply(state, k, from_state);
  }
#pragma unroll 1  // code that is run once waits for itself
  for (int which = 0; which < 2; ++which) {
    const int tile = warp_tile(which), g = threadIdx.x % 32 / 4;
    if (tile * 16 >= chunk.length) break;
    const float decay[2] = {__ldcg(&steps->decay[tile * 16 + g]), __ldcg(&steps->decay[tile * 16 + g + 8])};
    Sums own = {};
    add_mixed<kCodes, kStates>(tiles, *m, x, tile, own);
    if (floats)
      store_outputs<kCodes, true>(s, chunk, h, x, tile, decay, from_state[0], own);
    else
      store_outputs<kCodes, false>(s, chunk, h, x, tile, decay, from_state[0], own);
#pragma unroll
    for (int i = 0; i < kPairs * 8; ++i) from_state[0][i / 8][i / 4 % 2][i % 4] = from_state[1][i / 8][i / 4 % 2][i % 4];
  }
}

template <bool kCodes, int kStates>
void launch_outputs(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, const Stream& stream) {
  const LaunchShape shape = {dim3(static_cast<unsigned>(s.heads), static_cast<unsigned>(most_chunks)),
                             dim3(kOutputThreads), sizeof(OutputsShared<kCodes, kStates>)};
  launch(ssd_chunk_outputs<kCodes, kStates>, shape, stream, s, memory);
}

}  // namespace

template <int kStates>
void launch_chunk_outputs(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, bool codes,
                          const Stream& stream) {
  if (codes)
    launch_outputs<true, kStates>(s, memory, most_chunks, stream);
  else
    launch_outputs<false, kStates>(s, memory, most_chunks, stream);
}

template void launch_chunk_outputs<64>(const SsdScan&, const ChunkMemory<64>&, int32_t, bool, const Stream&);
template void launch_chunk_outputs<128>(const SsdScan&, const ChunkMemory<128>&, int32_t, bool, const Stream&);

}  // namespace quamba2::cuda
