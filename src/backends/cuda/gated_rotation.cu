// SPDX-License-Identifier: Apache-2.0
// gate or gated_rms_norm and the hadamard behind it: a block of four warps a row, which it reads once. A row is kCore runs of
// kRun chunks of 128 channels:
//
//   chunks of a warp   every fourth one, four channels a lane: gate, norm, seven levels of the butterfly
//                      (two in a lane's registers, five between lanes)
//   shared memory      [chunks][128], once
//   all chunks of a    one channel of each chunk a thread: the levels between the chunks of a run, then the core
//   thread
#include "backends/cuda/gated_rotation.cuh"

#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/vectors.cuh"
#include "backends/cuda/device/warp.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 128, kChunk = 128;

template <int kCore>
struct CoreSigns {
  float sign[kCore][kCore];  // +1 or -1
  float scale;
};

// A thread's four channels of chunk 4 e + warp.
__device__ __forceinline__ int32_t column_of(int e) {
  return (e * 4 + static_cast<int32_t>(threadIdx.x) / 32) * kChunk + static_cast<int32_t>(threadIdx.x) % 32 * 4;
}

// All of a thread's numbers at once: which type they have is asked before the loads, not between them.
template <int kEach>
__device__ __forceinline__ void load_chunks(const Numbers& x, int64_t row, Vector<4> (&v)[kEach]) {
  if (x.dtype == DType::kI8 && x.by == ScaleBy::kColumn) {
    char4 codes[kEach];
    const int8_t* from = static_cast<const int8_t*>(x.data) + row * x.stride;
#pragma unroll
    for (int e = 0; e < kEach; ++e) codes[e] = *reinterpret_cast<const char4*>(from + column_of(e));
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const float4 s = *reinterpret_cast<const float4*>(static_cast<const float*>(x.scales) + column_of(e));
      v[e] = {{static_cast<float>(codes[e].x) * s.x, static_cast<float>(codes[e].y) * s.y,
               static_cast<float>(codes[e].z) * s.z, static_cast<float>(codes[e].w) * s.w}};
    }
  } else if (x.dtype == DType::kF32) {
    const float* from = static_cast<const float*>(x.data) + row * x.stride;
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const float4 f = *reinterpret_cast<const float4*>(from + column_of(e));
      v[e] = {{f.x, f.y, f.z, f.w}};
    }
  } else {
#pragma unroll
    for (int e = 0; e < kEach; ++e) v[e] = load_vector<4>(x, row, column_of(e));
  }
}

template <int kEach>
__device__ __forceinline__ void apply_gate(const GatedRows& p, int64_t row, Vector<4> (&v)[kEach]) {
  Vector<4> z[kEach];
  load_chunks(p.z, row, z);
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
#pragma unroll
    for (int k = 0; k < 4; ++k) v[e].v[k] *= silu(z[e].v[k]);
  }
}

// `sums` holds a number a chunk.
template <int kEach>
__device__ __forceinline__ void apply_norm(const GatedRows& p, float* sums, Vector<4> (&v)[kEach]) {
  const int warp = threadIdx.x / 32;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    float sum = 0;
#pragma unroll
    for (int k = 0; k < 4; ++k) sum = fmaf(v[e].v[k], v[e].v[k], sum);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) sums[e * 4 + warp] = sum;
  }
  __syncthreads();
  const int chunks = p.group_width / kChunk;
  int known = -1;  // the group whose factor is known
  float factor = 0;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int group = (e * 4 + warp) / chunks;
    if (group != known) {
      float sum = 0;
      for (int i = 0; i < chunks; ++i) sum += sums[group * chunks + i];
      factor = 1.0f / sqrtf(sum / static_cast<float>(p.group_width) + p.eps);
      known = group;
    }
    const Vector<4> w = load_parameters<4>(p.weight, column_of(e), 1.0f);
#pragma unroll
    for (int k = 0; k < 4; ++k) v[e].v[k] *= factor * w.v[k];
  }
}

// Seven levels: over the 128 channels of a chunk.
__device__ __forceinline__ void rotate_chunk(float (&v)[4]) {
  const float a = v[0] + v[1], b = v[0] - v[1], c = v[2] + v[3], d = v[2] - v[3];
  v[0] = a + c, v[1] = b + d, v[2] = a - c, v[3] = b - d;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const float own = threadIdx.x & distance ? -1.0f : 1.0f;
#pragma unroll
    for (int k = 0; k < 4; ++k) v[k] = fmaf(own, v[k], __shfl_xor_sync(kAllLanes, v[k], distance));
  }
}

// The levels between chunks, then the core, of one channel of every chunk.
template <int kCore, int kRun>
__device__ __forceinline__ void rotate_column(const CoreSigns<kCore>& core, float (&x)[kCore * kRun]) {
#pragma unroll
  for (int d = 1; d < kRun; d *= 2) {
#pragma unroll
    for (int i = 0; i < kCore * kRun; ++i) {
      if (i & d) continue;  // kRun divides every run's first index
      const float a = x[i], b = x[i + d];
      x[i] = a + b, x[i + d] = a - b;
    }
  }
  if constexpr (kCore > 1) {
#pragma unroll
    for (int j = 0; j < kRun; ++j) {
      float mixed[kCore];
#pragma unroll
      for (int i = 0; i < kCore; ++i) {
        mixed[i] = core.sign[i][0] * x[j];
#pragma unroll
        for (int l = 1; l < kCore; ++l) mixed[i] = fmaf(core.sign[i][l], x[l * kRun + j], mixed[i]);
      }
#pragma unroll
      for (int i = 0; i < kCore; ++i) x[i * kRun + j] = mixed[i];
    }
  }
#pragma unroll
  for (int i = 0; i < kCore * kRun; ++i) x[i] *= core.scale;
}

template <int kChunks>
__device__ __forceinline__ void store_column(const Numbers& out, int64_t row, float* reduce,
                                             const float (&x)[kChunks]) {
  const auto first = static_cast<int32_t>(threadIdx.x);
  if (out.by != ScaleBy::kRow) {
#pragma unroll
    for (int c = 0; c < kChunks; ++c) store_number(out, row, first + c * kChunk, x[c]);
    return;
  }
  float largest = 0;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) largest = fmaxf(largest, fabsf(x[c]));
  const float scale = __fdiv_rn(block_max(largest, reduce), 127.0f);
  if (threadIdx.x == 0) const_cast<float*>(static_cast<const float*>(out.scales))[row] = scale;
  const CodeFactor factor = code_factor(scale);
  int8_t* to = static_cast<int8_t*>(out.data) + row * out.stride + first;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    to[c * kChunk] = static_cast<int8_t>(__float2int_rn(fminf(fmaxf(factor.steps(x[c]), -127.0f), 127.0f)));
  }
}

template <int kCore, int kRun>
__global__ void __launch_bounds__(kThreads)
    gated_rotation(const __grid_constant__ GatedRows p, const __grid_constant__ CoreSigns<kCore> core) {
  constexpr int kChunks = kCore * kRun, kEach = kChunks / 4;
  static_assert(kChunks % 4 == 0, "every warp has as many chunks");
  __shared__ float values[kChunks][kChunk], sums[kChunks], reduce[33];
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  {
    Vector<4> v[kEach];
    load_chunks(p.y, row, v);
    if (!p.norm_before_gate) apply_gate(p, row, v);
    if (p.group_width > 0) apply_norm(p, sums, v);
    if (p.norm_before_gate) apply_gate(p, row, v);
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      rotate_chunk(v[e].v);
      *reinterpret_cast<float4*>(&values[e * 4 + threadIdx.x / 32][threadIdx.x % 32 * 4]) =
          make_float4(v[e].v[0], v[e].v[1], v[e].v[2], v[e].v[3]);
    }
  }
  __syncthreads();
  float x[kChunks];
#pragma unroll
  for (int c = 0; c < kChunks; ++c) x[c] = values[c][threadIdx.x];
  rotate_column<kCore, kRun>(core, x);
  store_column<kChunks>(p.out, row, reduce, x);
}

template <int kCore, int kRun>
bool launch_rotation(const GatedRows& p, Rotation rotation, const Stream& stream) {
  const bool transposed = rotation == Rotation::kTransposedHadamard;
  CoreSigns<kCore> core;
  const HadamardShape shape = hadamard_shape(p.width, transposed);
  core.scale = shape.scale;
  for (int i = 0; i < kCore; ++i) {
    for (int l = 0; l < kCore; ++l) core.sign[i][l] = shape.minus[i] >> l & 1 ? -1.0f : 1.0f;
  }
  launch(gated_rotation<kCore, kRun>, {dim3(static_cast<unsigned>(p.rows)), dim3(kThreads)}, stream, p, core);
  return true;
}

}  // namespace

bool run_gated_rotation(const GatedRows& p, Rotation rotation, const Stream& stream) {
  if (rotation == Rotation::kNone || p.group_width % kChunk != 0) return false;
  if (run_gated_rotation_few(p, rotation, stream)) return true;
  switch (p.width) {  // inner widths of Mamba1 and Mamba2 models
    case 1536: return launch_rotation<12, 1>(p, rotation, stream);
    case 2048: return launch_rotation<1, 16>(p, rotation, stream);
    case 3072: return launch_rotation<12, 2>(p, rotation, stream);
    case 4096: return launch_rotation<1, 32>(p, rotation, stream);
    case 5120: return launch_rotation<20, 2>(p, rotation, stream);
    case 8192: return launch_rotation<1, 64>(p, rotation, stream);
    default: return false;
  }
}

}  // namespace quamba2::cuda
