// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks of Q = 128 tokens (arXiv 2405.21060, section 6) on tensor cores, for 64 channels a head and 64 or 128
// states. With alpha_i the sum of a delta over a chunk's tokens up to i:
//
//   ssd_prepare        fragments of B and C, C_i . B_j                   four blocks a chunk and group
//                      delta, alpha and their exponentials               a warp a chunk and head
//   ssd_chunk_states   S = exp(alpha_last) S + sum over j of exp(alpha_last - alpha_j) delta_j B_j x_j
//                      two blocks a (segment, head), chunk after chunk; the state before each chunk is kept
//   ssd_chunk_outputs  Y_i = exp(alpha_i) C_i S + sum over j <= i of C_i . B_j delta_j exp(alpha_i - alpha_j) x_j + D x_i
//                      a block a (chunk, head), all at once
//
// Factors are sums of two bf16 (device/split.cuh), codes of 8 bits one bf16, exactly; exponents are differences of sums in
// double, so that nothing cancels.
#include "backends/cuda/ssd_scan_chunks.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kPieces = 4;      // blocks that share the tiles of a chunk and group
constexpr int kLeastRun = 16;   // tokens between two roundings of the state, below which chunks are not worth it
constexpr int kPieceRows = 32;  // rows of C that a piece has

__device__ __forceinline__ float2 two_parts(double v) {
  const auto high = static_cast<float>(v);
  return make_float2(high, static_cast<float>(v - high));
}

// The steps of a head over a chunk: four tokens a lane. One warp.
__device__ __forceinline__ void chunk_steps(const SsdScan& s, ChunkPlace chunk, int h, ChunkSteps* to) {
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
    to->weight[t] = delta[i] * expf(static_cast<float>(all - alpha));
  }
  if (lane == 0) to->decay_all = expf(static_cast<float>(all));
}

template <int kStates>
using StateRows = SplitTile<kChunk, kStates + 8>;
template <int kStates>
using PieceRows = SplitTile<kPieceRows, kStates + 8>;

template <bool kCodes, int kStates>
struct PrepareShared {
  alignas(16) unsigned char b[StateRows<kStates>::kBytes];
  alignas(16) unsigned char c[PieceRows<kStates>::kBytes];
  alignas(16) unsigned char scaled[kCodes ? PieceRows<kStates>::kBytes : 16];  // codes of C by the scales of C and B
};

// Four neighbours of a row: codes without their scales, or numbers.
template <bool kCodes>
__device__ __forceinline__ void load_part(const Numbers& x, int64_t row, int column, bool together, float (&v)[4]) {
  if constexpr (kCodes) {
    const char4 c = *reinterpret_cast<const char4*>(static_cast<const int8_t*>(x.data) + row * x.stride + column);
    v[0] = c.x, v[1] = c.y, v[2] = c.z, v[3] = c.w;
  } else {
    load_four(x, row, column, together, v);
  }
}

// A piece has the tiles of tokens `piece` and 7 - piece: as many products as every other one.
__device__ __forceinline__ int tile_of_piece(int piece, int which) {
  return which == 0 ? piece : kTokenTiles - 1 - piece;
}

template <bool kCodes, int kStates>
__device__ __forceinline__ void stage_tiles(const SsdScan& s, ChunkPlace chunk, int64_t first, int piece,
                                            PrepareShared<kCodes, kStates>* m) {
  const StateRows<kStates> b = {reinterpret_cast<__nv_bfloat16*>(m->b)};
  const PieceRows<kStates> c = {reinterpret_cast<__nv_bfloat16*>(m->c)};
  const PieceRows<kStates> scaled = {reinterpret_cast<__nv_bfloat16*>(m->scaled)};
  const int column = threadIdx.x % (kStates / 4) * 4, first_row = threadIdx.x / (kStates / 4);
  constexpr int kStep = kChunkThreads / (kStates / 4);
  const bool b_together = reads_together(s.b) && (first + column) % 4 == 0;
  const bool c_together = reads_together(s.c) && (first + column) % 4 == 0;
  const int at = static_cast<int>(first) + column;
#pragma unroll 4
  for (int row = first_row; row < kChunk; row += kStep) {
    float v[4] = {0, 0, 0, 0};
    if (row < chunk.length) load_part<kCodes>(s.b, chunk.begin + row, at, b_together, v);
    b.put_four(row, column, v, 1.0f);
  }
  float scale[4] = {1, 1, 1, 1};
  if constexpr (kCodes) {
#pragma unroll
    for (int i = 0; i < 4; ++i) scale[i] = scale_of(s.b, 0, at + i) * scale_of(s.c, 0, at + i);
  }
  for (int row = first_row; row < kPieceRows; row += kStep) {
    const int token = tile_of_piece(piece, row / 16) * 16 + row % 16;
    float v[4] = {0, 0, 0, 0};
    if (token < chunk.length) load_part<kCodes>(s.c, chunk.begin + token, at, c_together, v);
    c.put_four(row, column, v, 1.0f);
    if constexpr (kCodes) {
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] *= scale[i];
      scaled.put_four(row, column, v, 1.0f);
    }
  }
}

__device__ __forceinline__ void keep_fragment(uint4* to, const uint32_t (&r)[4]) {
  to[threadIdx.x % 32] = make_uint4(r[0], r[1], r[2], r[3]);
}

// Fragments of C and B, shared out among the warps.
template <bool kCodes, int kStates>
__device__ __forceinline__ void keep_fragments(int piece, const PrepareShared<kCodes, kStates>& m,
                                               ChunkTiles<kStates>* to) {
  constexpr int kSteps = kStates / 16, kParts = kCodes ? 1 : 2;
  const StateRows<kStates> b = {const_cast<__nv_bfloat16*>(reinterpret_cast<const __nv_bfloat16*>(m.b))};
  const PieceRows<kStates> c = {const_cast<__nv_bfloat16*>(reinterpret_cast<const __nv_bfloat16*>(m.c))};
  for (int i = threadIdx.x / 32; i < 2 * kSteps * kParts; i += kChunkThreads / 32) {
    const int part = i % kParts, k = i / kParts % kSteps, which = i / kParts / kSteps;
    const int token_tile = piece * 2 + which;
    uint32_t r[4];
    load_left(r, c, part, which * 16, k * 16);
    keep_fragment(to->c[tile_of_piece(piece, which)][k][part], r);
    load_left_turned(r, b, part, k * 16, token_tile * 16);
    keep_fragment(to->b[k][token_tile][part], r);
  }
}

template <bool kCodes, int kStates>
__device__ __forceinline__ void keep_products(int piece, const PrepareShared<kCodes, kStates>& m,
                                              ChunkTiles<kStates>* to) {
  const StateRows<kStates> b = {const_cast<__nv_bfloat16*>(reinterpret_cast<const __nv_bfloat16*>(m.b))};
  const PieceRows<kStates> c = {
      const_cast<__nv_bfloat16*>(reinterpret_cast<const __nv_bfloat16*>(kCodes ? m.scaled : m.c))};
  const int lane = threadIdx.x % 32;
  for (int i = threadIdx.x / 32; i < kTokenTiles + 1; i += kChunkThreads / 32) {
    const int which = i > piece ? 1 : 0, column = which == 0 ? i : i - piece - 1, row = tile_of_piece(piece, which);
    float sums[2][4] = {};
#pragma unroll
    for (int k = 0; k < kStates; k += 16) {
      uint32_t left[2][4], right[2][4];
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        load_left(left[part], c, part, which * 16, k);
        if (!kCodes || part == 0) load_right_turned(right[part], b, part, k, column * 16);
      }
      multiply_split<false, kCodes>(sums, left, right);
    }
    float4(&kept)[2][32] = to->products[row * (row + 1) / 2 + column];
    kept[0][lane] = make_float4(sums[0][0], sums[0][1], sums[0][2], sums[0][3]);
    kept[1][lane] = make_float4(sums[1][0], sums[1][1], sums[1][2], sums[1][3]);
  }
}

// Blocks below groups * kPieces along y make tiles, the others the steps of eight heads.
template <bool kCodes, int kStates>
__global__ void __launch_bounds__(kChunkThreads)
    ssd_prepare(const __grid_constant__ SsdScan s, const __grid_constant__ ChunkMemory<kStates> memory) {
  extern __shared__ uint4 shared_memory[];
  let_next_start();
  wait_for_previous();
  const int64_t number = blockIdx.x;
  ChunkPlace chunk;
  if (!find_chunk(s, static_cast<int>(number), chunk)) return;
  const int y = static_cast<int>(blockIdx.y);
  if (y >= s.groups * kPieces) {
    const int h = (y - s.groups * kPieces) * (kChunkThreads / 32) + threadIdx.x / 32;
    if (h < s.heads) chunk_steps(s, chunk, h, memory.steps + number * s.heads + h);
    return;
  }
  auto* m = reinterpret_cast<PrepareShared<kCodes, kStates>*>(shared_memory);
  const int group = y / kPieces, piece = y % kPieces;
  stage_tiles(s, chunk, static_cast<int64_t>(group) * kStates, piece, m);
  __syncthreads();
  ChunkTiles<kStates>* to = memory.tiles + number * s.groups + group;
  keep_fragments(piece, *m, to);
  keep_products(piece, *m, to);
}

template <int kStates>
void launch_chunked(const SsdScan& s, int32_t most_chunks, const Stream& stream) {
  auto* tiles = reinterpret_cast<ChunkTiles<kStates>*>(stream.scratch);
  const int64_t chunks = most_chunks;
  auto* states = reinterpret_cast<ChunkState<kStates>*>(tiles + chunks * s.groups);
  const ChunkMemory<kStates> memory = {tiles, reinterpret_cast<ChunkSteps*>(states + chunks * s.heads), states};
  const bool codes = inputs_of(s.x, s.x, s.b, s.c) == ScanInputs::kCodes && reads_together(s.x) &&
                     reads_together(s.b) && reads_together(s.c);
  const auto across = static_cast<unsigned>(s.groups * kPieces + (s.heads + 7) / 8);
  const dim3 grid(static_cast<unsigned>(most_chunks), across);
  if (codes)
    launch(ssd_prepare<true, kStates>, {grid, dim3(kChunkThreads), sizeof(PrepareShared<true, kStates>)}, stream, s,
           memory);
  else
    launch(ssd_prepare<false, kStates>, {grid, dim3(kChunkThreads), sizeof(PrepareShared<false, kStates>)}, stream, s,
           memory);
  launch_chunk_states<kStates>(s, memory, codes, stream);
  launch_chunk_outputs<kStates>(s, memory, most_chunks, codes, stream);
}

}  // namespace

bool has_ssd_scan_chunked(const SsdScan& s) {
  return s.width == kWidth && (s.states == 64 || s.states == 128) && (s.state_every == 0 || s.state_every >= kLeastRun);
}

int64_t most_ssd_chunks(const SsdScan& s, int64_t segments) {
  const int64_t run = s.state_every > 0 ? s.state_every : kChunk;
  return (s.tokens / run + segments) * ((run + kChunk - 1) / kChunk);
}

int64_t ssd_chunked_scratch(const SsdScan& s, int64_t segments) {
  const int64_t tiles = s.states == 128 ? sizeof(ChunkTiles<128>) : sizeof(ChunkTiles<64>);
  const int64_t state = s.states == 128 ? sizeof(ChunkState<128>) : sizeof(ChunkState<64>);
  return most_ssd_chunks(s, segments) *
         (s.groups * tiles + s.heads * (state + static_cast<int64_t>(sizeof(ChunkSteps))));
}

void run_ssd_scan_chunked(const SsdScan& s, const Stream& stream) {
  const auto chunks = static_cast<int32_t>(most_ssd_chunks(s, s.segment_count));
  if (s.states == 128)
    launch_chunked<128>(s, chunks, stream);
  else
    launch_chunked<64>(s, chunks, stream);
}

}  // namespace quamba2::cuda
