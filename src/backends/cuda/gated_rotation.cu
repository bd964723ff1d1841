// SPDX-License-Identifier: Apache-2.0
// gate or gated_rms_norm and the hadamard behind it: a block of four warps one row or two, which it reads once. A row is kCore
// runs of kRun chunks of 128 channels:
//
//   copies             the row into shared memory, all of it on its way at once
//   chunks of a warp   every fourth one, one after the other, four channels a lane: gate, squares, weights, seven levels of
//                      the butterfly (two in a lane's registers, five between lanes)
//   all chunks of a    one channel of each chunk a thread: the norm's factor (a chunk has one, so it may follow the
//   thread             butterfly), the levels between the chunks of a run, then the core
//   chunks of a warp   codes, four channels a lane
//
// Loops are kept: a row's code unrolled is longer than what a multiprocessor holds of it, and was waited for half of the time.
#include "backends/cuda/gated_rotation.cuh"

#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/vectors.cuh"
#include "backends/cuda/device/warp.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32, kChunk = 128;
constexpr int kManyRows = 512;  // from here on blocks of two rows fill a GPU, and read weights and scales half as often

template <int kCore>
struct CoreSigns {
  float sign[kCore][kCore];  // +1 or -1
  float scale;
};

template <int kChunks, int kRows>
struct RowsShared {
  alignas(16) float values[kRows][kChunks][kChunk];
  uint32_t codes[kRows][kChunks][kChunk / 4];  // of the gate
  float sums[kRows][kChunks], factor[kRows][kChunks], largest[kRows][kWarps];
};

// A block's rows; behind the last one it comes again, and is written twice.
__device__ __forceinline__ int64_t row_of(const GatedRows& p, int kRows, int r) {
  return min(static_cast<int32_t>(blockIdx.x) * kRows + r, p.rows - 1);
}
__device__ __forceinline__ bool copies_y(const GatedRows& p) { return p.y.dtype == DType::kF32; }
__device__ __forceinline__ bool copies_z(const GatedRows& p) {
  return p.z.dtype == DType::kI8 && p.z.by == ScaleBy::kColumn;
}

// Each lane copies what it will read itself.
template <int kChunks, int kRows>
__device__ __forceinline__ void copy_rows(const GatedRows& p, RowsShared<kChunks, kRows>* m) {
  const int lane = threadIdx.x % 32;
  const bool y = copies_y(p), z = copies_z(p);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float* from = static_cast<const float*>(p.y.data) + row_of(p, kRows, r) * p.y.stride + lane * 4;
    const int8_t* gate = static_cast<const int8_t*>(p.z.data) + row_of(p, kRows, r) * p.z.stride + lane * 4;
#pragma unroll 2
    for (int chunk = threadIdx.x / 32; chunk < kChunks; chunk += kWarps) {
      if (y) copy_16(&m->values[r][chunk][lane * 4], from + chunk * kChunk);
      if (z) copy_small<4>(&m->codes[r][chunk][lane], gate + chunk * kChunk);
    }
  }
  commit_copies();
}

__device__ __forceinline__ float squares(const Vector<4>& v) {
  float sum = 0;
#pragma unroll
  for (int k = 0; k < 4; ++k) sum = fmaf(v.v[k], v.v[k], sum);
  return sum;
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

// Leaves `values` without the factor of the norm, and sums of squares: of a warp where all are normalized together, otherwise of
// a chunk.
template <int kChunks, int kRows>
__device__ __forceinline__ void gate_and_rotate(const GatedRows& p, RowsShared<kChunks, kRows>* m) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const bool y_copied = copies_y(p), z_copied = copies_z(p), together = p.group_width == p.width;
  float total[kRows] = {};
#pragma unroll(kRows == 1 ? 2 : 1)
  for (int chunk = warp; chunk < kChunks; chunk += kWarps) {
    const int column = chunk * kChunk + lane * 4;
    const Vector<4> w = load_parameters<4>(p.weight, column, 1.0f);
    const float4 z_scale = z_copied ? scales_of(p.z, 0, column) : make_float4(1, 1, 1, 1);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float4* at = reinterpret_cast<float4*>(&m->values[r][chunk][lane * 4]);
      Vector<4> v, z;
      if (y_copied) {
        const float4 f = *at;
        v = {{f.x, f.y, f.z, f.w}};
      } else {
        v = load_vector<4>(p.y, row_of(p, kRows, r), column);
      }
      if (z_copied) {
        const char4 c = *reinterpret_cast<const char4*>(&m->codes[r][chunk][lane]);
        z = {{static_cast<float>(c.x) * z_scale.x, static_cast<float>(c.y) * z_scale.y,
              static_cast<float>(c.z) * z_scale.z, static_cast<float>(c.w) * z_scale.w}};
      } else {
        z = load_vector<4>(p.z, row_of(p, kRows, r), column);
      }
      float sum = squares(v);
#pragma unroll
      for (int k = 0; k < 4; ++k) v.v[k] *= silu(z.v[k]);
      if (!p.norm_before_gate) sum = squares(v);
      total[r] += sum;
      if (!together) {
        sum = warp_sum(sum);
        if (lane == 0) m->sums[r][chunk] = sum;
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) v.v[k] *= w.v[k];
      rotate_chunk(v.v);
      *at = make_float4(v.v[0], v.v[1], v.v[2], v.v[3]);
    }
  }
  if (!together) return;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    total[r] = warp_sum(total[r]);
    if (lane == 0) m->sums[r][warp] = total[r];
  }
}

// The norm's factor of each chunk, times the rotation's scale.
template <int kChunks, int kRows>
__device__ __forceinline__ void find_factors(const GatedRows& p, float scale, RowsShared<kChunks, kRows>* m) {
  if (threadIdx.x >= kChunks * kRows) return;
  const int r = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
  float factor = scale;
  if (p.group_width > 0) {
    const bool together = p.group_width == p.width;
    const int count = together ? kWarps : p.group_width / kChunk, first = together ? 0 : chunk / count * count;
    float sum = 0;
    for (int i = 0; i < count; ++i) sum += m->sums[r][first + i];
    factor *= 1.0f / sqrtf(sum / static_cast<float>(p.group_width) + p.eps);
  }
  m->factor[r][chunk] = factor;
}

// The levels between chunks, then the core, of one channel of every chunk; the largest magnitude.
template <int kCore, int kRun>
__device__ __forceinline__ float rotate_column(const CoreSigns<kCore>& core, const float* factor,
                                               float (*values)[kChunk]) {
  constexpr int kChunks = kCore * kRun;
  static_assert(kCore == 1 || kRun <= 2, "runs of a core are chosen between two");
  float x[kChunks], largest = 0;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) x[c] = values[c][threadIdx.x] * factor[c];
#pragma unroll
  for (int d = 1; d < kRun; d *= 2) {
#pragma unroll
    for (int i = 0; i < kChunks; ++i) {
      if (i & d) continue;  // kRun divides every run's first index
      const float a = x[i], b = x[i + d];
      x[i] = a + b, x[i + d] = a - b;
    }
  }
  if constexpr (kCore == 1) {
#pragma unroll
    for (int c = 0; c < kChunks; ++c) values[c][threadIdx.x] = x[c], largest = fmaxf(largest, fabsf(x[c]));
  } else {
#pragma unroll 1
    for (int j = 0; j < kRun; ++j) {
      float in[kCore];
#pragma unroll
      for (int l = 0; l < kCore; ++l) in[l] = j == 0 ? x[l * kRun] : x[l * kRun + kRun - 1];
#pragma unroll
      for (int i = 0; i < kCore; ++i) {
        float mixed = core.sign[i][0] * in[0];
#pragma unroll
        for (int l = 1; l < kCore; ++l) mixed = fmaf(core.sign[i][l], in[l], mixed);
        values[i * kRun + j][threadIdx.x] = mixed, largest = fmaxf(largest, fabsf(mixed));
      }
    }
  }
  return largest;
}

template <int kChunks, int kRows>
__device__ __forceinline__ void store_rows(const GatedRows& p, const RowsShared<kChunks, kRows>& m) {
  const int lane = threadIdx.x % 32;
#pragma unroll 1
  for (int r = 0; r < kRows; ++r) {
    const int64_t row = row_of(p, kRows, r);
    CodeFactor factor = {1, 1};
    if (p.out.by == ScaleBy::kRow) {
      float largest = 0;
#pragma unroll
      for (int i = 0; i < kWarps; ++i) largest = fmaxf(largest, m.largest[r][i]);
      const float scale = __fdiv_rn(largest, 127.0f);
      if (threadIdx.x == 0) const_cast<float*>(static_cast<const float*>(p.out.scales))[row] = scale;
      factor = code_factor(scale);
    }
#pragma unroll 2
    for (int chunk = threadIdx.x / 32; chunk < kChunks; chunk += kWarps) {
      const float4 f = *reinterpret_cast<const float4*>(&m.values[r][chunk][lane * 4]);
      const float v[4] = {f.x, f.y, f.z, f.w};
      const int column = chunk * kChunk + lane * 4;
      if (p.out.by == ScaleBy::kRow) {
        int code[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) code[k] = max(__float2int_rn(factor.steps(v[k])), -127);
        *reinterpret_cast<uint32_t*>(static_cast<int8_t*>(p.out.data) + row * p.out.stride + column) = pack_codes(code);
      } else {
#pragma unroll
        for (int k = 0; k < 4; ++k) store_number(p.out, row, column + k, v[k]);
      }
    }
  }
}

template <int kCore, int kRun, int kRows>
__global__ void __launch_bounds__(kThreads)
    gated_rotation(const __grid_constant__ GatedRows p, const __grid_constant__ CoreSigns<kCore> core) {
  constexpr int kChunks = kCore * kRun;
  static_assert(kChunks % kWarps == 0, "every warp has as many chunks");
  static_assert(kChunks * kRows <= kThreads, "a thread a chunk's factor");
  extern __shared__ float4 shared_rows[];
  auto* m = reinterpret_cast<RowsShared<kChunks, kRows>*>(shared_rows);
  let_next_start();
  wait_for_previous();
  copy_rows(p, m);
  wait_copies<0>();
  gate_and_rotate(p, m);
  __syncthreads();
  find_factors(p, core.scale, m);
  __syncthreads();
#pragma unroll 1
  for (int r = 0; r < kRows; ++r) {
    const float largest = warp_max(rotate_column<kCore, kRun>(core, m->factor[r], m->values[r]));
    if (threadIdx.x % 32 == 0) m->largest[r][threadIdx.x / 32] = largest;
  }
  __syncthreads();
  store_rows(p, *m);
}

template <int kCore, int kRun, int kRows>
void launch_rows(const GatedRows& p, const CoreSigns<kCore>& core, const Stream& stream) {
  const auto blocks = static_cast<unsigned>((p.rows + kRows - 1) / kRows);
  launch(gated_rotation<kCore, kRun, kRows>, {dim3(blocks), dim3(kThreads), sizeof(RowsShared<kCore * kRun, kRows>)},
         stream, p, core);
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
  if (p.rows >= kManyRows)
    launch_rows<kCore, kRun, 2>(p, core, stream);
  else
    launch_rows<kCore, kRun, 1>(p, core, stream);
  return true;
}

}  // namespace

bool run_gated_rotation(const GatedRows& p, Rotation rotation, const Stream& stream) {
  if (rotation == Rotation::kNone || p.group_width % kChunk != 0) return false;
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
