// SPDX-License-Identifier: Apache-2.0
// A linear of one token. A block has neighbouring bands of 16 weight rows, whose pairs of tiles its warps take in turn, so
// that all have as many; sums of whole numbers meet in shared memory. Each warp has kFewStages pairs on their way and asks
// for the first ones before the kernel in front has ended: where that leaves time, all weights are there when x is.
//
// A norm is computed by every block for itself, in the order of rms_norm (norm.cu): the same bits, and one launch less.
#include "backends/cuda/step_linear.cuh"

#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/row.cuh"
#include "backends/cuda/linear_config.h"
#include "backends/cuda/step_row.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kNormWarps = 16, kRowWarps = 8;

// A stage: two tiles of codes, and the scales of their groups.
constexpr int kStageCodes = 1024, kStageBytes = kStageCodes + 64;

// The pairs of tiles of a warp: `pair` of band `band` (of the block), every `warps`-th one.
struct PairPlace {
  int32_t band, pair;
  __device__ __forceinline__ void next(int warps, int pairs) {
    pair += warps;
    while (pair >= pairs) pair -= pairs, ++band;
  }
};

template <WeightKind kKind>
__device__ __forceinline__ void ask_pair(const PreparedWeight& w, int32_t first_band, const PairPlace& at,
                                         char* stage) {
  const int lane = threadIdx.x % 32;
  const int64_t band = first_band + at.band;
  const char* from = w.codes + (band * w.k_tiles + 2 * at.pair) * 512 + lane * 16;
  copy_16(stage + lane * 16, from);
  copy_16(stage + 512 + lane * 16, from + 512);  // behind the last tile of an odd number: it meets zeros
  if constexpr (has_groups(kKind)) {
    if (lane < 16) {
      const int32_t group = min((2 * at.pair + lane / 8) >> w.group_shift, w.group_count - 1);
      copy_small<4>(stage + kStageCodes + lane * 4, w.groups + (band * w.group_count + group) * 8 + lane % 8);
    }
  }
}

// The row, normalized, as codes under its largest; gives their scale. A thread has vectors of four, every blockDim.x-th one.
// Sums are those of rms_norm with a thread a vector: of a warp's 32 vectors, then warp after warp.
template <int kWarps>
__device__ __forceinline__ float norm_codes(const StepLinear& p, float* reduce, int8_t* codes) {
  constexpr int kEach = kLongestStepNorm / 4 / (kWarps * 32);
  const int fours = p.weight.inner / 4, warp = threadIdx.x / 32;
  Vector<4> v[kEach];
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int i = e * kWarps * 32 + threadIdx.x;
    v[e] = {{0, 0, 0, 0}};
    if (i < fours) v[e] = load_parameters<4>(static_cast<const float*>(p.x.data), 4 * i, 0.0f);
    float sum = 0;
#pragma unroll
    for (int k = 0; k < 4; ++k) sum += v[e].v[k] * v[e].v[k];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) reduce[e * kWarps + warp] = sum;
  }
  __syncthreads();
  float sum = reduce[0];
  for (int i = 1; i < (fours + 31) / 32; ++i) sum += reduce[i];
  const float r = 1.0f / sqrtf(sum / static_cast<float>(p.weight.inner) + p.eps);
  float largest = 0;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int i = e * kWarps * 32 + threadIdx.x;
    if (i >= fours) continue;
    const Vector<4> w = load_parameters<4>(p.norm_weight, 4 * i, 1.0f);
#pragma unroll
    for (int k = 0; k < 4; ++k) v[e].v[k] *= r * w.v[k];
    largest = fmaxf(largest, largest_of(v[e]));
  }
  const float scale = block_max(largest, reduce) / 127.0f;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int i = e * kWarps * 32 + threadIdx.x;
    if (i >= fours) continue;
    reinterpret_cast<char4*>(codes)[i] = {encode_i8(v[e].v[0], scale), encode_i8(v[e].v[1], scale),
                                          encode_i8(v[e].v[2], scale), encode_i8(v[e].v[3], scale)};
  }
  return scale;
}

__device__ __forceinline__ void store_step(const StepLinear& p, int32_t n, float y) {
  if (p.addend == nullptr) return store_result(p.out, 0, n, y);
  if (p.out.bias != nullptr) y += p.out.bias[n];
  p.sum[n] = p.addend[n] + y;
}

template <WeightKind kKind, int kWarps, bool kNorms>
__global__ void __launch_bounds__(kWarps * 32, 1) step_linear(const __grid_constant__ StepLinear p) {
  extern __shared__ uint4 shared_memory[];
  __shared__ float reduce[kLongestStepNorm / 128 + 1];
  __shared__ int sums[kMostStepBands * kBandRows];
  const PreparedWeight& w = p.weight;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, pairs = (w.k_tiles + 1) / 2;
  const int32_t first_band = blockIdx.x * p.bands_per_block, bands = min(p.bands_per_block, w.bands - first_band);
  char* ring = reinterpret_cast<char*>(shared_memory) + warp * kFewStages * kStageBytes;
  int8_t* codes = reinterpret_cast<int8_t*>(shared_memory) + kWarps * kFewStages * kStageBytes;
  PairPlace asked = {0, warp};
  while (asked.pair >= pairs) asked.pair -= pairs, ++asked.band;
  PairPlace now = asked;
#pragma unroll
  for (int s = 0; s < kFewStages; ++s) {
    if (asked.band < bands) ask_pair<kKind>(w, first_band, asked, ring + s * kStageBytes);
    commit_copies();
    asked.next(kWarps, pairs);
  }
  let_next_start();
  const int n = first_band * kBandRows + threadIdx.x;  // whose result this thread gives
  const bool gives = threadIdx.x < bands * kBandRows && n < w.outputs;
  const float row_scale = gives ? __ldg(w.rows + n) : 0.0f;
  for (int i = threadIdx.x; i < kMostStepBands * kBandRows; i += kWarps * 32) sums[i] = 0;
  const int padded = pairs * 2 * tile_columns(kKind);
  for (int i = w.inner + threadIdx.x; i < padded; i += kWarps * 32) codes[i] = 0;
  wait_for_previous();
  float x_scale;
  if constexpr (kNorms) {
    x_scale = norm_codes<kWarps>(p, reduce, codes);
  } else {
    const uint4* from = static_cast<const uint4*>(p.x.data);
    x_scale = *static_cast<const float*>(p.x.scales);
    for (int i = threadIdx.x; i < w.inner / 16; i += kWarps * 32) reinterpret_cast<uint4*>(codes)[i] = from[i];
  }
  __syncthreads();
  int d[4] = {}, slot = 0, band = now.band;
  const auto flush = [&] {
    if (lane % 4 == 0) {
      atomicAdd(&sums[band * kBandRows + lane / 4], d[0]);
      atomicAdd(&sums[band * kBandRows + lane / 4 + 8], d[2]);
    }
    d[0] = d[2] = 0;
  };
  while (now.band < bands) {
    if (now.band != band) flush(), band = now.band;
    wait_copies<kFewStages - 1>();
    __syncwarp();
    const char* stage = ring + slot * kStageBytes;
#pragma unroll
    for (int which = 0; which < 2; ++which) {
      WeightTile t;
      t.words = *reinterpret_cast<const uint4*>(stage + which * 512 + lane * 16);
      if constexpr (has_groups(kKind))
        t.scales = *reinterpret_cast<const uint32_t*>(stage + kStageCodes + which * 32 + lane / 4 * 4);
      multiply_row<kKind>(d, t, codes + (2 * now.pair + which) * tile_columns(kKind));
    }
    __syncwarp();
    if (asked.band < bands) ask_pair<kKind>(w, first_band, asked, ring + slot * kStageBytes);
    commit_copies();
    asked.next(kWarps, pairs), now.next(kWarps, pairs);
    slot = slot + 1 == kFewStages ? 0 : slot + 1;
  }
  if (band < bands) flush();
  __syncthreads();
  if (gives) store_step(p, n, static_cast<float>(sums[threadIdx.x]) * x_scale * row_scale);
}

template <WeightKind kKind, int kWarps, bool kNorms>
void launch_step(StepLinear p, int blocks_at_once, const Stream& stream) {
  p.bands_per_block = (p.weight.bands + blocks_at_once - 1) / blocks_at_once;
  const int blocks = (p.weight.bands + p.bands_per_block - 1) / p.bands_per_block;
  const int row = (p.weight.k_tiles + 1) / 2 * 2 * tile_columns(kKind);
  launch(step_linear<kKind, kWarps, kNorms>,
         {dim3(blocks), dim3(kWarps * 32), static_cast<size_t>(kWarps * kFewStages * kStageBytes + row), 1, true},
         stream, p);
}

template <WeightKind kKind>
void run_kind(const StepLinear& p, const Stream& stream) {
  if (p.norms)
    launch_step<kKind, kNormWarps, true>(p, multiprocessors(), stream);
  else
    launch_step<kKind, kRowWarps, false>(p, 2 * multiprocessors(), stream);
}

}  // namespace

bool has_step_linear(WeightKind kind) { return steps_exactly(kind); }

void run_step_linear(WeightKind kind, const StepLinear& p, const Stream& stream) {
  if (kind == WeightKind::kI8)
    run_kind<WeightKind::kI8>(p, stream);
  else
    run_kind<WeightKind::kI4Ratio>(p, stream);
}

}  // namespace quamba2::cuda
