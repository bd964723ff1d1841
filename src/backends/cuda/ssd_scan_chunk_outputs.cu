// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks (ssd_scan_chunked.cu), third kernel: the outputs of a chunk and head, a block each. A warp has 16 tokens and
// all 64 channels; left operands (C, and C_i . B_j by its decays) are in registers, right ones (the state before the chunk, x) in
// shared memory.
#include "backends/cuda/ssd_scan_chunks.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kStride = kWidth + 8, kPairs = kWidth / 16;

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

__device__ __forceinline__ float decay_between(float2 from, float2 to) {
  return exp2f((to.x - from.x) + (to.y - from.y));
}

using Sums = float[kPairs][2][4];

// C_i S over the states. Fragments of C arrive kBatch steps at a time.
template <bool kCodes, int kStates>
struct StatePart {
  static constexpr int kParts = kCodes ? 1 : 2, kSteps = kStates / 16, kBatch = kCodes ? kSteps : kSteps / 2;
  uint4 c[kBatch][kParts];

  __device__ __forceinline__ void load(const ChunkTiles<kStates>* tiles, int first) {
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        c[k][part] = __ldcg(&tiles->c[threadIdx.x / 32][first + k][part][threadIdx.x % 32]);
      }
    }
  }
  __device__ __forceinline__ void multiply(const StateTile<kStates>& state, int first, Sums& y) const {
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      uint32_t left[2][4];
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        left[part][0] = c[k][part].x, left[part][1] = c[k][part].y, left[part][2] = c[k][part].z,
        left[part][3] = c[k][part].w;
      }
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        uint32_t right[2][4];
#pragma unroll
        for (int part = 0; part < 2; ++part) load_right(right[part], state, part, (first + k) * 16, pair * 16);
        multiply_split<kCodes, false>(y[pair], left, right);
      }
    }
  }
};

// delta_j exp(alpha_i - alpha_j) C_i . B_j for a warp's tokens i and 16 tokens j from `first`, in two parts.
__device__ __forceinline__ void mixed_fragment(const float2* alpha, const float* delta, const float4 (&products)[2],
                                               const float2 (&at)[2], int token, int first, uint32_t (&left)[2][4]) {
  const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
  const float cb[8] = {products[0].x, products[0].y, products[0].z, products[0].w,
                       products[1].x, products[1].y, products[1].z, products[1].w};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int j = first + half * 8 + 2 * q;
    const float4 from = *reinterpret_cast<const float4*>(alpha + j);
    const float2 d = *reinterpret_cast<const float2*>(delta + j);
#pragma unroll
    for (int low = 0; low < 2; ++low) {
      const int i = token + g + low * 8, r = half * 2 + low;
      const float a = cb[r * 2] * d.x * decay_between(make_float2(from.x, from.y), at[low]);
      const float b = cb[r * 2 + 1] * d.y * decay_between(make_float2(from.z, from.w), at[low]);
      const SplitPair pair = split_pair(j <= i ? a : 0.0f, j + 1 <= i ? b : 0.0f);
      left[0][r] = pair.high, left[1][r] = pair.low;
    }
  }
}

// The chunk's own tokens.
template <bool kCodes, int kStates>
__device__ __forceinline__ void add_mixed(const ChunkTiles<kStates>* tiles, const OutputsShared<kCodes, kStates>& m,
                                          const InputTile& x, Sums& y) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, token = warp * 16;
  const float2 at[2] = {m.alpha[token + lane / 4], m.alpha[token + lane / 4 + 8]};
  const float4(*from)[2][32] = tiles->products + warp * (warp + 1) / 2;
  float4 next[2] = {__ldcg(&from[0][0][lane]), __ldcg(&from[0][1][lane])};
  for (int k = 0; k <= warp; ++k) {
    const float4 products[2] = {next[0], next[1]};
    if (k < warp) next[0] = __ldcg(&from[k + 1][0][lane]), next[1] = __ldcg(&from[k + 1][1][lane]);
    uint32_t left[2][4];
    mixed_fragment(m.alpha, m.delta, products, at, token, k * 16, left);
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) {
      uint32_t right[2][4];
#pragma unroll
      for (int part = 0; part < (kCodes ? 1 : 2); ++part) load_right(right[part], x, part, k * 16, pair * 16);
      multiply_split<false, kCodes>(y[pair], left, right);
    }
  }
}

// f(pair of channels' first, row of the thread, two sums)
template <class F>
__device__ __forceinline__ void each_pair(Sums& y, const F& f) {
  const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < kPairs * 4; ++i) {
    float(&four)[4] = y[i / 4][i / 2 % 2];
    f(i / 2 * 8 + 2 * q, threadIdx.x / 32 * 16 + g + i % 2 * 8, four[i % 2 * 2], four[i % 2 * 2 + 1]);
  }
}

template <bool kCodes>
__device__ __forceinline__ float2 input_pair(const SsdScan& s, const InputTile& x, int row, int p, float2 scale) {
  const float2 high = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x.at(0, row, p)));
  if constexpr (kCodes) return make_float2(high.x * scale.x, high.y * scale.y);
  const float2 low = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x.at(1, row, p)));
  return make_float2(high.x + low.x, high.y + low.y);
}

// Adds D x to a warp's outputs and writes them.
template <bool kCodes>
__device__ __forceinline__ void store_outputs(const SsdScan& s, ChunkPlace chunk, int h, const InputTile& x, Sums& y) {
  const int64_t head_column = static_cast<int64_t>(h) * kWidth;
  const bool floats =
      s.out.dtype == DType::kF32 && s.out.stride % 2 == 0 && reinterpret_cast<int64_t>(s.out.data) % 8 == 0;
  const float* scales = static_cast<const float*>(s.x.scales) + head_column;
  each_pair(y, [&](int p, int row, float& first, float& second) {
    if (row >= chunk.length) return;
    const float2 scale = kCodes ? make_float2(scales[p], scales[p + 1]) : make_float2(1, 1);
    const float2 in = input_pair<kCodes>(s, x, row, p, scale);
    const float a = fmaf(skip_weight(s, h, p), in.x, first), b = fmaf(skip_weight(s, h, p + 1), in.y, second);
    const int64_t at = chunk.begin + row;
    if (floats) {
      *reinterpret_cast<float2*>(static_cast<float*>(s.out.data) + at * s.out.stride + head_column + p) =
          make_float2(a, b);
    } else {
      store_number(s.out, at, head_column + p, a);
      store_number(s.out, at, head_column + p + 1, b);
    }
  });
}

template <bool kCodes, int kStates>
__device__ __forceinline__ void stage_inputs(const SsdScan& s, ChunkPlace chunk, int h, const InputTile& x) {
  using Inputs = ThreadInputs<kCodes, kWidth>;
  Inputs inputs;
  inputs.load(s.x, chunk, static_cast<int64_t>(h) * kWidth);
#pragma unroll
  for (int i = 0; i < Inputs::kEach; ++i) {
    float v[4];
    inputs.get(i, v);
    if constexpr (kCodes) {
      const __nv_bfloat162 a = __floats2bfloat162_rn(v[0], v[1]), b = __floats2bfloat162_rn(v[2], v[3]);
      *reinterpret_cast<uint2*>(x.data + Inputs::row(i) * kStride + Inputs::column()) =
          make_uint2(*reinterpret_cast<const uint32_t*>(&a), *reinterpret_cast<const uint32_t*>(&b));
    } else {
      x.put_four(Inputs::row(i), Inputs::column(), v, 1.0f);
    }
  }
}

template <bool kCodes, int kStates>
__global__ void __launch_bounds__(kChunkThreads, 2)
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
  const auto* kept = reinterpret_cast<const char*>(memory.states + number * s.heads + h);
  for (int i = threadIdx.x; i < 2 * kStates * 8; i += kChunkThreads) {  // pieces of 16 bytes
    copy_16(m->state + i / 8 * (kStride * 2) + i % 8 * 16, kept + i * 16);
  }
  if (threadIdx.x < kChunk / 2) copy_16(m->alpha + 2 * threadIdx.x, steps->alpha + 2 * threadIdx.x);
  if (threadIdx.x < kChunk / 4) copy_16(m->delta + 4 * threadIdx.x, steps->delta + 4 * threadIdx.x);
  commit_copies();
  StatePart<kCodes, kStates> part;
  part.load(tiles, 0);
  const int token = threadIdx.x / 32 * 16, g = threadIdx.x % 32 / 4;
  const float decay[2] = {__ldcg(&steps->decay[token + g]), __ldcg(&steps->decay[token + g + 8])};
  const InputTile x = {reinterpret_cast<__nv_bfloat16*>(m->x)};
  stage_inputs<kCodes, kStates>(s, chunk, h, x);
  wait_copies<0>();
  __syncthreads();
  if (token >= chunk.length) return;

  const StateTile<kStates> state = {reinterpret_cast<__nv_bfloat16*>(m->state)};
  Sums y = {};
  part.multiply(state, 0, y);
  if constexpr (StatePart<kCodes, kStates>::kBatch < kStates / 16) {
    part.load(tiles, StatePart<kCodes, kStates>::kBatch);
    part.multiply(state, StatePart<kCodes, kStates>::kBatch, y);
  }
#pragma unroll
  for (int i = 0; i < kPairs * 8; ++i) y[i / 8][i / 4 % 2][i % 4] *= decay[i % 4 / 2];
  if constexpr (kCodes) {
    Sums own = {};
    add_mixed<kCodes, kStates>(tiles, *m, x, own);
    const float* scales = static_cast<const float*>(s.x.scales) + static_cast<int64_t>(h) * kWidth;
#pragma unroll
    for (int i = 0; i < kPairs * 8; ++i) {
      float& sum = y[i / 8][i / 4 % 2][i % 4];
      sum = fmaf(own[i / 8][i / 4 % 2][i % 4], scales[i / 4 * 8 + 2 * (threadIdx.x % 4) + i % 2], sum);
    }
  } else {
    add_mixed<kCodes, kStates>(tiles, *m, x, y);
  }
  store_outputs<kCodes>(s, chunk, h, x, y);
}

template <bool kCodes, int kStates>
void launch_outputs(const SsdScan& s, const ChunkMemory<kStates>& memory, int32_t most_chunks, const Stream& stream) {
  const LaunchShape shape = {dim3(static_cast<unsigned>(s.heads), static_cast<unsigned>(most_chunks)),
                             dim3(kChunkThreads), sizeof(OutputsShared<kCodes, kStates>)};
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
