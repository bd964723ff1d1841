// SPDX-License-Identifier: Apache-2.0
// gated_rotation of so few rows that each may have a multiprocessor: the same sums in the same order, so the same bits, by
// as many threads as have something to do, and little code, because nobody else has fetched it.
//
//   a warp            kOwn neighbouring chunks of 128 channels, four channels a lane: gate, norm, seven levels of the
//                     butterfly, and those between its chunks
//   shared memory     [chunks][128]
//   a thread          one channel of every kOwn-th chunk: the other levels, or some outputs of the core
//   shared memory     [chunks][128]: results, four neighbours of which a thread encodes
#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/vectors.cuh"
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/gated_rotation.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kChunk = 128;

template <int kCore, int kRun, int kOwn>
struct FewRotation {
  static_assert(kCore == 1 || kRun == kOwn, "levels between chunks of different warps come before the core");
  static constexpr int kChunks = kCore * kRun, kThreads = kChunks / kOwn * 32;
  static constexpr int kEach = kChunks / kOwn;  // chunks that a thread of the last levels sees
  static constexpr int kParts = kCore > 1 && kThreads / (kChunk * kOwn) >= 2 ? kThreads / (kChunk * kOwn) : 1;
  static_assert(kCore % kParts == 0 && kThreads <= 1024);

  struct Shared {
    alignas(16) float values[kChunks][kChunk];
    alignas(16) float results[kCore > 1 ? kChunks : 1][kChunk];
    alignas(16) float sign[kCore][kCore];
    float sums[kChunks], reduce[33];
  };
  __device__ static __forceinline__ int32_t column_of(int e) {
    const auto thread = static_cast<int32_t>(threadIdx.x);
    return (thread / 32 * kOwn + e) * kChunk + thread % 32 * 4;
  }
};

// A lane's numbers, of all its chunks at once: which type they have is asked before the loads, not between them.
template <class Shape, int kOwn>
__device__ __forceinline__ void load_own(const Numbers& x, int64_t row, Vector<4> (&v)[kOwn]) {
  if (x.dtype == DType::kI8 && x.by == ScaleBy::kColumn) {
    const int8_t* from = static_cast<const int8_t*>(x.data) + row * x.stride;
    char4 codes[kOwn];
    float4 scales[kOwn];
#pragma unroll
    for (int e = 0; e < kOwn; ++e) {
      codes[e] = *reinterpret_cast<const char4*>(from + Shape::column_of(e));
      scales[e] = *reinterpret_cast<const float4*>(static_cast<const float*>(x.scales) + Shape::column_of(e));
    }
#pragma unroll
    for (int e = 0; e < kOwn; ++e) {
      v[e] = {{static_cast<float>(codes[e].x) * scales[e].x, static_cast<float>(codes[e].y) * scales[e].y,
               static_cast<float>(codes[e].z) * scales[e].z, static_cast<float>(codes[e].w) * scales[e].w}};
    }
  } else if (x.dtype == DType::kF32) {
    const float* from = static_cast<const float*>(x.data) + row * x.stride;
#pragma unroll
    for (int e = 0; e < kOwn; ++e) {
      const float4 f = *reinterpret_cast<const float4*>(from + Shape::column_of(e));
      v[e] = {{f.x, f.y, f.z, f.w}};
    }
  } else {
#pragma unroll
    for (int e = 0; e < kOwn; ++e) v[e] = load_vector<4>(x, row, Shape::column_of(e));
  }
}

template <int kOwn>
__device__ __forceinline__ void apply_gate(const Vector<4> (&z)[kOwn], Vector<4> (&v)[kOwn]) {
#pragma unroll
  for (int e = 0; e < kOwn; ++e) {
#pragma unroll
    for (int k = 0; k < 4; ++k) v[e].v[k] *= silu(z[e].v[k]);
  }
}

template <int kOwn>
__device__ __forceinline__ void apply_norm(const GatedRows& p, float* sums, const Vector<4> (&weight)[kOwn],
                                           Vector<4> (&v)[kOwn]) {
  const int first = static_cast<int>(threadIdx.x) / 32 * kOwn;
#pragma unroll
  for (int e = 0; e < kOwn; ++e) {
    float sum = 0;
#pragma unroll
    for (int k = 0; k < 4; ++k) sum = fmaf(v[e].v[k], v[e].v[k], sum);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) sums[first + e] = sum;
  }
  __syncthreads();
  const int chunks = p.group_width / kChunk;
  int known = -1;  // the group whose factor is known
  float factor = 0;
#pragma unroll
  for (int e = 0; e < kOwn; ++e) {
    const int group = (first + e) / chunks;
    if (group != known) {
      float sum = 0;
#pragma unroll 8
      for (int i = 0; i < chunks; ++i) sum += sums[group * chunks + i];
      factor = 1.0f / sqrtf(sum / static_cast<float>(p.group_width) + p.eps);
      known = group;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) v[e].v[k] *= factor * weight[e].v[k];
  }
}

// All levels within a warp's chunks, which are neighbours.
template <int kOwn>
__device__ __forceinline__ void rotate_own(Vector<4> (&x)[kOwn]) {
#pragma unroll
  for (int e = 0; e < kOwn; ++e) {
    float(&v)[4] = x[e].v;
    const float a = v[0] + v[1], b = v[0] - v[1], c = v[2] + v[3], d = v[2] - v[3];
    v[0] = a + c, v[1] = b + d, v[2] = a - c, v[3] = b - d;
  }
#pragma unroll 1
  for (int distance = 1; distance < 32; distance *= 2) {
    const float own = threadIdx.x & distance ? -1.0f : 1.0f;
#pragma unroll
    for (int e = 0; e < kOwn; ++e) {
#pragma unroll
      for (int k = 0; k < 4; ++k) x[e].v[k] = fmaf(own, x[e].v[k], __shfl_xor_sync(kAllLanes, x[e].v[k], distance));
    }
  }
#pragma unroll
  for (int d = 1; d < kOwn; d *= 2) {
#pragma unroll
    for (int e = 0; e < kOwn; ++e) {
      if (e & d) continue;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const float a = x[e].v[k], b = x[e + d].v[k];
        x[e].v[k] = a + b, x[e + d].v[k] = a - b;
      }
    }
  }
}

// The rest of the rotation; returns the largest of the thread's results.
template <int kCore, int kRun, int kOwn, class Shared>
__device__ __forceinline__ float rotate_columns(Shared& shared, float scale) {
  using Shape = FewRotation<kCore, kRun, kOwn>;
  const int task = static_cast<int>(threadIdx.x), column = task % kChunk, own = task / kChunk % kOwn;
  if (task >= kChunk * kOwn * Shape::kParts) return 0;
  float x[Shape::kEach], largest = 0;
#pragma unroll
  for (int i = 0; i < Shape::kEach; ++i) x[i] = shared.values[i * kOwn + own][column];
  if constexpr (kCore == 1) {
#pragma unroll
    for (int d = 1; d < Shape::kEach; d *= 2) {
#pragma unroll
      for (int i = 0; i < Shape::kEach; ++i) {
        if (i & d) continue;
        const float a = x[i], b = x[i + d];
        x[i] = a + b, x[i + d] = a - b;
      }
    }
#pragma unroll
    for (int i = 0; i < Shape::kEach; ++i) {
      const float y = x[i] * scale;
      largest = fmaxf(largest, fabsf(y));
      shared.values[i * kOwn + own][column] = y;
    }
  } else {
    constexpr int kOutputs = kCore / Shape::kParts;
    const int first = task / (kChunk * kOwn) * kOutputs;
#pragma unroll 2
    for (int i = first; i < first + kOutputs; ++i) {
      float y = shared.sign[i][0] * x[0];
#pragma unroll
      for (int l = 1; l < kCore; ++l) y = fmaf(shared.sign[i][l], x[l], y);
      y *= scale;
      largest = fmaxf(largest, fabsf(y));
      shared.results[i * kRun + own][column] = y;
    }
  }
  return largest;
}

// Results four at a time.
template <int kThreads>
__device__ __forceinline__ void store_row(const Numbers& out, int64_t row, int32_t width, const float* results,
                                          float* reduce, float largest) {
  const auto first = static_cast<int32_t>(threadIdx.x) * 4;
  const auto at = [&](int32_t i) { return *reinterpret_cast<const float4*>(results + i); };
  if (out.by != ScaleBy::kRow) {
    __syncthreads();
    for (int32_t i = first; i < width; i += kThreads * 4) {
      const float4 y = at(i);
      store_vector(out, row, i, Vector<4>{{y.x, y.y, y.z, y.w}});
    }
    return;
  }
  const float scale = __fdiv_rn(block_max(largest, reduce), 127.0f);  // behind its barriers all results are there
  if (threadIdx.x == 0) const_cast<float*>(static_cast<const float*>(out.scales))[row] = scale;
  const CodeFactor factor = code_factor(scale);
  const auto code = [&](float y) { return __float2int_rn(fminf(fmaxf(factor.steps(y), -127.0f), 127.0f)); };
  int8_t* to = static_cast<int8_t*>(out.data) + row * out.stride;
  for (int32_t i = first; i < width; i += kThreads * 4) {
    const float4 y = at(i);
    const int codes[4] = {code(y.x), code(y.y), code(y.z), code(y.w)};
    *reinterpret_cast<uint32_t*>(to + i) = pack_codes(codes);
  }
}

template <int kCore, int kRun, int kOwn>
__global__ void __launch_bounds__(FewRotation<kCore, kRun, kOwn>::kThreads)
    gated_rotation_few(const __grid_constant__ GatedRows p, const __grid_constant__ HadamardShape h) {
  using Shape = FewRotation<kCore, kRun, kOwn>;
  __shared__ typename Shape::Shared shared;
  let_next_start();
  Vector<4> weight[kOwn];  // there before the kernel in front ends
#pragma unroll
  for (int e = 0; e < kOwn; ++e) weight[e] = load_parameters<4>(p.weight, Shape::column_of(e), 1.0f);
  if constexpr (kCore > 1) {
    for (int i = static_cast<int>(threadIdx.x); i < kCore * kCore; i += Shape::kThreads) {
      shared.sign[i / kCore][i % kCore] = h.minus[i / kCore] >> (i % kCore) & 1 ? -1.0f : 1.0f;
    }
  }
  wait_for_previous();
  const int64_t row = blockIdx.x;
  Vector<4> v[kOwn], z[kOwn];
  load_own<Shape>(p.y, row, v);
  load_own<Shape>(p.z, row, z);
  if (!p.norm_before_gate) apply_gate(z, v);
  if (p.group_width > 0) apply_norm(p, shared.sums, weight, v);
  if (p.norm_before_gate) apply_gate(z, v);
  rotate_own(v);
#pragma unroll
  for (int e = 0; e < kOwn; ++e) {
    const int chunk = static_cast<int>(threadIdx.x) / 32 * kOwn + e;
    *reinterpret_cast<float4*>(&shared.values[chunk][threadIdx.x % 32 * 4]) =
        make_float4(v[e].v[0], v[e].v[1], v[e].v[2], v[e].v[3]);
  }
  __syncthreads();
  const float largest = rotate_columns<kCore, kRun, kOwn>(shared, h.scale);
  const float* results = kCore > 1 ? &shared.results[0][0] : &shared.values[0][0];
  store_row<Shape::kThreads>(p.out, row, Shape::kChunks * kChunk, results, shared.reduce, largest);
}

template <int kCore, int kRun, int kOwn>
bool launch_few(const GatedRows& p, Rotation rotation, const Stream& stream) {
  const LaunchShape shape = {dim3(static_cast<unsigned>(p.rows)), dim3(FewRotation<kCore, kRun, kOwn>::kThreads)};
  launch(gated_rotation_few<kCore, kRun, kOwn>, shape, stream, p,
         hadamard_shape(p.width, rotation == Rotation::kTransposedHadamard));
  return true;
}

}  // namespace

bool run_gated_rotation_few(const GatedRows& p, Rotation rotation, const Stream& stream) {
  if (p.rows > multiprocessors()) return false;
  switch (p.width) {
    case 1536: return launch_few<12, 1, 1>(p, rotation, stream);
    case 2048: return launch_few<1, 16, 1>(p, rotation, stream);
    case 3072: return launch_few<12, 2, 2>(p, rotation, stream);
    case 4096: return launch_few<1, 32, 2>(p, rotation, stream);
    case 5120: return launch_few<20, 2, 2>(p, rotation, stream);
    case 8192: return launch_few<1, 64, 4>(p, rotation, stream);
    default: return false;
  }
}

}  // namespace quamba2::cuda
