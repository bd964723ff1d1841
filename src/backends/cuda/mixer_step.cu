// SPDX-License-Identifier: Apache-2.0
// The mixer of a Mamba1 layer for one token, by one cluster of blocks. A thread has a channel; a block has E / blocks
// neighbours, and what all channels decide together passes through the blocks' shared memory:
//
//   conv, silu, codes of x          a channel
//   largest of x            <->     x_row's scale
//   x_proj                          a block multiplies its columns of K
//   sums of whole numbers   <->     dt_low, b, c: every block has them all
//   dt_proj                         a warp multiplies the rows of its 32 channels
//   scan, gate                      a channel; five levels of the transform between the channels of a warp
//   runs of 32              <->     a block takes 32 / blocks columns of all runs: the other levels, then the core
//   largest                 <->     out's scale
//
// Weights are asked for before the kernel in front has ended. Rounding and the order of sums are those of the kernels of
// the operations one by one (causal_conv1d.cu, linear_few_rows.cuh, selective_scan_step.cu, gated_rotation.cu): so are
// the bits.
#include "backends/cuda/mixer_step.cuh"

#include "backends/cuda/device/barrier.cuh"
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/vectors.cuh"
#include "backends/cuda/selective_scan.cuh"
#include "backends/cuda/step_row.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kMostThreads = 640;

// Where things lie in a block's shared memory. `exchange`, `partial` and `largest` are read by other blocks.
struct MixerShared {
  char* base;
  int32_t channels, outputs, rank_padded, x_tiles, x_groups, dt_tiles;

  __host__ __device__ static int64_t up(int64_t bytes) { return (bytes + 15) / 16 * 16; }
  __device__ float* largest() const { return reinterpret_cast<float*>(base); }  // [2], then [32] for warps
  __device__ float* warps() const { return largest() + 4; }
  __device__ float* bc() const { return largest() + 36; }                                   // [2 * 16]
  __device__ float* exchange() const { return largest() + 68; }                             // [channels]
  __device__ float* columns() const { return exchange() + channels; }                       // [channels]
  __device__ int* partial() const { return reinterpret_cast<int*>(columns() + channels); }  // [outputs]
  __device__ float* row_scales() const { return reinterpret_cast<float*>(partial() + outputs); }
  __device__ float* code_scales() const { return row_scales() + outputs; }
  __device__ int* products() const { return reinterpret_cast<int*>(code_scales() + outputs); }  // [channels]
  __device__ int8_t* row() const { return reinterpret_cast<int8_t*>(products() + channels); }   // [channels]
  __device__ int8_t* dt_low() const { return row() + channels; }
  __device__ char* x_codes() const { return reinterpret_cast<char*>(dt_low() + rank_padded); }
  __device__ char* x_scales() const { return x_codes() + outputs / kBandRows * x_tiles * 512; }
  __device__ char* dt_codes() const { return x_scales() + outputs / kBandRows * x_groups * 32; }
  __host__ __device__ int64_t bytes() const {
    return int64_t{68} * 4 + int64_t{channels} * 13 + outputs * 12 + rank_padded +
           static_cast<int64_t>(outputs) / kBandRows * (x_tiles * 512 + x_groups * 32) +
           static_cast<int64_t>(channels) / kBandRows * dt_tiles * 512;
  }
};

struct MixerKernel {
  MixerStep step;
  MixerShape shape;
};

__host__ __device__ inline MixerShared shared_of(int32_t channels, int32_t x_tiles, int32_t x_groups, int32_t x_bands,
                                                 int32_t dt_tiles) {
  return {nullptr, channels, x_bands * kBandRows, dt_tiles * 32, x_tiles, x_groups, dt_tiles};
}

__device__ __forceinline__ float cluster_float(const float* shared, int rank) {
  float v = 0;
#if __CUDA_ARCH__ >= 900
  uint32_t at;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(shared_address(shared)), "r"(rank));
  asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(v) : "r"(at) : "memory");
#endif
  return v;
}
__device__ __forceinline__ void meet() {
#if __CUDA_ARCH__ >= 900
  cluster_barrier();
#endif
}

// The largest over the cluster; begins with a reduction over the block. `slot`: 0 or 1, each used once.
__device__ __forceinline__ float cluster_largest(const MixerShared& s, float v, int slot, int blocks) {
  v = warp_max(v);
  if (threadIdx.x % 32 == 0) s.warps()[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x < 32) {
    v = warp_max(threadIdx.x < blockDim.x / 32 ? s.warps()[threadIdx.x] : 0.0f);
    if (threadIdx.x == 0) s.largest()[slot] = v;
  }
  meet();
  const int lane = threadIdx.x % 32;
  return warp_max(lane < blocks ? cluster_float(s.largest() + slot, lane) : 0.0f);
}

// Weights of the block, on their way.
template <WeightKind kKind>
__device__ __forceinline__ void ask_weights(const MixerStep& p, const MixerShared& s, int rank) {
  const int bands = s.outputs / kBandRows, first = rank * s.x_tiles;
  const int words = s.x_tiles * 32;  // of 16 bytes, a band
  for (int i = threadIdx.x; i < bands * words; i += blockDim.x) {
    const int band = i / words, word = i - band * words;
    copy_16(s.x_codes() + i * 16,
            p.x_proj.codes + (static_cast<int64_t>(band) * p.x_proj.k_tiles + first) * 512 + word * 16);
  }
  if constexpr (has_groups(kKind)) {
    const int group = first >> p.x_proj.group_shift, pieces = 2 * s.x_groups;
    for (int i = threadIdx.x; i < bands * pieces; i += blockDim.x) {
      const int band = i / pieces, piece = i - band * pieces, at = min(group + piece / 2, p.x_proj.group_count - 1);
      copy_16(s.x_scales() + i * 16,
              p.x_proj.groups + (static_cast<int64_t>(band) * p.x_proj.group_count + at) * 8 + piece % 2 * 4);
    }
  }
  const char* from = p.dt_proj.codes + static_cast<int64_t>(rank) * s.channels / kBandRows * s.dt_tiles * 512;
  for (int i = threadIdx.x; i < s.channels / kBandRows * s.dt_tiles * 32; i += blockDim.x)
    copy_16(s.dt_codes() + i * 16, from + i * 16);
  commit_copies();
}

// A static scale of a column.
__device__ __forceinline__ float column_scale(const Numbers& x, int column) {
  return static_cast<const float*>(x.scales)[x.by == ScaleBy::kColumn ? column : 0];
}

// The scales with which results of x_proj are made and stored.
__device__ __forceinline__ void load_output_scales(const MixerStep& p, const MixerShared& s) {
  for (int n = threadIdx.x; n < s.outputs; n += blockDim.x) {
    const int at = n - p.rank;
    s.row_scales()[n] = p.x_proj.rows[n];
    s.code_scales()[n] = at < 0                  ? column_scale(p.dt_low, n)
                         : at < kMixerStates     ? column_scale(p.b, at)
                         : at < 2 * kMixerStates ? column_scale(p.c, at - kMixerStates)
                                                 : 1.0f;
  }
  for (int i = p.rank + threadIdx.x; i < s.rank_padded; i += blockDim.x) s.dt_low()[i] = 0;
}

// The block's part of x_proj's sums.
template <WeightKind kKind>
__device__ __forceinline__ void multiply_x(const MixerStep& p, const MixerShared& s, int rank) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  const int first = rank * s.x_tiles;
  for (int band = warp; band < s.outputs / kBandRows; band += warps) {
    int d[4] = {};
    for (int i = 0; i < s.x_tiles; ++i) {
      WeightTile t;
      t.words = *reinterpret_cast<const uint4*>(s.x_codes() + (band * s.x_tiles + i) * 512 + lane * 16);
      if constexpr (has_groups(kKind)) {
        const int group = ((first + i) >> p.x_proj.group_shift) - (first >> p.x_proj.group_shift);
        t.scales = reinterpret_cast<const uint32_t*>(s.x_scales() + (band * s.x_groups + group) * 32)[lane / 4];
      }
      multiply_row<kKind>(d, t, s.row() + i * tile_columns(kKind));
    }
    if (lane % 4 == 0)
      s.partial()[band * kBandRows + lane / 4] = d[0], s.partial()[band * kBandRows + lane / 4 + 8] = d[2];
  }
}

// dt_low as codes, b and c decoded, from the sums of all blocks.
__device__ __forceinline__ void gather_outputs(const MixerStep& p, const MixerShared& s, float x_scale, int blocks) {
  for (int n = threadIdx.x; n < s.outputs; n += blockDim.x) {
    int sum = 0;
#pragma unroll 16
    for (int rank = 0; rank < blocks; ++rank)
      sum += __float_as_int(cluster_float(reinterpret_cast<const float*>(s.partial()) + n, rank));
    const float y = static_cast<float>(sum) * x_scale * s.row_scales()[n], scale = s.code_scales()[n];
    const int8_t code = encode_i8(y, scale);
    const int at = n - p.rank;
    if (at < 0)
      s.dt_low()[n] = code;
    else if (at < 2 * kMixerStates)
      s.bc()[at] = static_cast<float>(code) * scale;
  }
}

// dt_proj's sum of this thread's channel.
__device__ __forceinline__ int multiply_dt(const MixerShared& s) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int band = 2 * warp + half;
    int d[4] = {};
    for (int i = 0; i < s.dt_tiles; ++i) {
      WeightTile t;
      t.words = *reinterpret_cast<const uint4*>(s.dt_codes() + (band * s.dt_tiles + i) * 512 + lane * 16);
      multiply_row<WeightKind::kI8>(d, t, s.dt_low() + i * 32);
    }
    if (lane % 4 == 0)
      s.products()[band * kBandRows + lane / 4] = d[0], s.products()[band * kBandRows + lane / 4 + 8] = d[2];
  }
  __syncwarp();
  return s.products()[threadIdx.x];
}

// Levels of the butterfly between the channels of a warp.
__device__ __forceinline__ float rotate_warp(float v) {
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const float own = threadIdx.x & distance ? -1.0f : 1.0f;
    v = fmaf(own, v, __shfl_xor_sync(kAllLanes, v, distance));
  }
  return v;
}

// kPoints of the butterfly, `distance` runs apart: one, two or three levels of this thread's run.
template <int kPoints>
__device__ __forceinline__ float rotate_points(const float* columns, int run, int column, int width, int distance) {
  const int which = run / distance % kPoints, first = run - which * distance;
  float v[kPoints];
#pragma unroll
  for (int k = 0; k < kPoints; ++k) v[k] = columns[(first + k * distance) * width + column];
#pragma unroll
  for (int half = 1; half < kPoints; half *= 2) {
    const bool minus = which & half;
#pragma unroll
    for (int k = 0; k < kPoints; k += 2 * half) v[k] = minus ? v[k] - v[k + half] : v[k] + v[k + half];
  }
  return v[0];
}

// What this thread's number of the transform is: run threadIdx.x / width, column threadIdx.x % width of the block's.
__device__ __forceinline__ float rotate_columns(const MixerStep& p, float* columns, int width, float v) {
  const int run = threadIdx.x / width, column = threadIdx.x % width;
  const int levels = p.run_shift - 5, runs = 1 << levels;  // of 32, that one row of the core spans
  for (int done = 0; done < levels;) {
    columns[threadIdx.x] = v;
    __syncthreads();
    const int left = levels - done;
    if (left >= 3)
      v = rotate_points<8>(columns, run, column, width, 1 << done), done += 3;
    else if (left == 2)
      v = rotate_points<4>(columns, run, column, width, 1 << done), done += 2;
    else
      v = rotate_points<2>(columns, run, column, width, 1 << done), done += 1;
    __syncthreads();
  }
  if (p.core == 1) return v * p.scale;
  columns[threadIdx.x] = v;
  __syncthreads();
  const float* at = columns + run % runs * width + column;
  const uint32_t minus = p.minus[run / runs];
  float sum = 0;
#pragma unroll 4
  for (int l = 0; l < p.core; ++l) {
    const float x = at[l * runs * width];
    sum += minus >> l & 1 ? -x : x;
  }
  return sum * p.scale;
}

// The state of this thread's channel. Halves are asked for all at once and decoded where they are needed.
struct ChannelState {
  const HeadState& stored;
  __half halves[kMixerStates];

  __device__ __forceinline__ bool has_halves() const {
    return stored.kind == StateKind::kFloat && stored.dtype == DType::kF16;
  }
  __device__ __forceinline__ ChannelState(const HeadState& s, int e) : stored(s) {
    if (!has_halves()) return;
#pragma unroll
    for (int n = 0; n < kMixerStates; ++n)
      halves[n] = reinterpret_cast<const __half*>(stored.data)[n * stored.row_stride + e];
  }
  __device__ __forceinline__ float decode(int n, int e) const {
    return has_halves() ? __half2float(halves[n]) : stored.decode(n, e);
  }
};

// The scan of this thread's channel: its state moves on.
__device__ __forceinline__ float scan_channel(const HeadState& stored, int e, float delta, float x, float skip,
                                              const float (&rate)[kMixerStates], const float* bc,
                                              const ChannelState& before) {
  float state[kMixerStates];
#pragma unroll
  for (int n = 0; n < kMixerStates; ++n) state[n] = before.decode(n, e);
  const float input = delta * x;
  float y = skip * x;
#pragma unroll
  for (int n = 0; n < kMixerStates; ++n) {
    state[n] = fmaf(power_of_two(delta * rate[n]), state[n], bc[n] * input);
    y = fmaf(bc[kMixerStates + n], state[n], y);
  }
  if (stored.kind == StateKind::kDynamic) {
    store_sixteen(stored, e, state);
  } else {
#pragma unroll
    for (int n = 0; n < kMixerStates; ++n) stored.encode(n, e, state[n]);
  }
  return y;
}

// The convolution of this thread's channel, whose history moves on; the code of x.
__device__ __forceinline__ int8_t convolve(const MixerStep& p, int e, int slot, const float (&weight)[kMixerTaps],
                                           float bias, float in_scale, float x_scale) {
  int8_t* history = static_cast<int8_t*>(p.history.data) + slot * p.history_slot + e;
  int8_t codes[kMixerTaps];
#pragma unroll
  for (int k = 0; k < kMixerTaps - 1; ++k) codes[k] = history[k * p.history.stride];
  codes[kMixerTaps - 1] = static_cast<const int8_t*>(p.x_in.data)[e];
  float y = bias;
#pragma unroll
  for (int k = 0; k < kMixerTaps; ++k) y += weight[k] * (static_cast<float>(codes[k]) * in_scale);
#pragma unroll
  for (int k = 0; k < kMixerTaps - 1; ++k) history[k * p.history.stride] = codes[k + 1];
  return encode_i8(p.silu ? silu(y) : y, x_scale);
}

template <WeightKind kKind>
__global__ void __launch_bounds__(kMostThreads, 1) mixer_step(const __grid_constant__ MixerKernel kernel) {
  extern __shared__ uint4 shared_memory[];
  const MixerStep& p = kernel.step;
  MixerShared s =
      shared_of(kernel.shape.channels, kernel.shape.x_tiles, kernel.shape.x_groups, p.x_proj.bands, p.dt_proj.k_tiles);
  s.base = reinterpret_cast<char*>(shared_memory);
  const int blocks = kernel.shape.blocks, rank = blockIdx.z, e = rank * s.channels + threadIdx.x;
  ask_weights<kKind>(p, s, rank);
  let_next_start();
  load_output_scales(p, s);
  float weight[kMixerTaps], rate[kMixerStates];
#pragma unroll
  for (int k = 0; k < kMixerTaps; ++k) weight[k] = load_number(p.conv_weight, e, k);
  const float bias = p.conv_bias != nullptr ? p.conv_bias[e] : 0.0f;
  const float in_scale = column_scale(p.x_in, e), own_scale = column_scale(p.x, e);
  const float z_scale = column_scale(p.z, e), dt_scale = column_scale(p.dt, e), dt_row = p.dt_proj.rows[e];
  const float dt_bias = p.dt_bias != nullptr ? p.dt_bias[e] : 0.0f, skip = p.d != nullptr ? p.d[e] : 0.0f;
  const float low_scale = column_scale(p.dt_low, 0);
  load_rates({.a_log = p.a_log, .a_stride = p.a_stride}, e, rate);
  const int slot = p.segment->slot;  // no kernel writes segments
  const HeadState stored(p.state, slot, 0);
  wait_for_previous();

  const ChannelState before(stored, e);
  const float z = static_cast<float>(static_cast<const int8_t*>(p.z.data)[e]) * z_scale;
  const float x = static_cast<float>(convolve(p, e, slot, weight, bias, in_scale, own_scale)) * own_scale;
  const float x_scale = cluster_largest(s, fabsf(x), 0, blocks) / 127.0f;
  s.row()[threadIdx.x] = encode_i8(x, x_scale);
  wait_copies<0>();
  __syncthreads();
  multiply_x<kKind>(p, s, rank);
  meet();
  gather_outputs(p, s, x_scale, blocks);
  __syncthreads();
  const float dt_sum = static_cast<float>(multiply_dt(s)) * low_scale * dt_row;
  const float delta = softplus(static_cast<float>(encode_i8(dt_sum, dt_scale)) * dt_scale + dt_bias);
  float v = scan_channel(stored, e, delta, x, skip, rate, s.bc(), before);
  v *= silu(z);

  s.exchange()[threadIdx.x] = rotate_warp(v);
  meet();
  const int width = kMixerRun / blocks, run = threadIdx.x / width, column = rank * width + threadIdx.x % width;
  const int warps = s.channels / kMixerRun;  // runs a block
  v = cluster_float(s.exchange() + run % warps * kMixerRun + column, run / warps);
  v = rotate_columns(p, s.columns(), width, v);
  const float out_scale = __fdiv_rn(cluster_largest(s, fabsf(v), 1, blocks), 127.0f);
  const CodeFactor factor = code_factor(out_scale);
  static_cast<int8_t*>(p.out.data)[run * kMixerRun + column] =
      static_cast<int8_t>(__float2int_rn(fminf(fmaxf(factor.steps(v), -127.0f), 127.0f)));
  if (rank == 0 && threadIdx.x == 0) *const_cast<float*>(static_cast<const float*>(p.out.scales)) = out_scale;
  meet();  // others still read what lies here
}

template <WeightKind kKind>
void run_kind(const MixerShape& shape, const MixerStep& p, const Stream& stream) {
  const auto blocks = static_cast<unsigned>(shape.blocks);
  if (blocks > 8) cudaFuncSetAttribute(mixer_step<kKind>, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  launch(mixer_step<kKind>,
         {dim3(1, 1, blocks), dim3(static_cast<unsigned>(shape.channels)), static_cast<size_t>(shape.shared_bytes),
          blocks, true},
         stream, MixerKernel{p, shape});
}

}  // namespace

bool has_mixer_step(WeightKind x_proj) { return steps_exactly(x_proj); }

MixerShape mixer_shape(const LinearLayout& x_proj, const LinearLayout& dt_proj, int32_t channels, int32_t most) {
  for (int32_t blocks = most; blocks > 0; blocks /= 2) {
    MixerShape s;
    s.channels = channels / blocks;
    const int32_t tile = tile_columns(x_proj.kind);
    if (channels % (blocks * 64) != 0 || s.channels > kMostThreads) continue;
    s.x_tiles = s.channels / tile;
    s.x_groups = !has_groups(x_proj.kind) ? 0 : x_proj.groups == 1 ? 1 : (s.x_tiles >> x_proj.group_shift) + 2;
    s.shared_bytes = shared_of(s.channels, s.x_tiles, s.x_groups, x_proj.bands, dt_proj.k_tiles).bytes();
    s.blocks = blocks;
    return s;
  }
  return {};
}

void run_mixer_step(WeightKind x_proj, const MixerShape& shape, const MixerStep& p, const Stream& stream) {
  if (x_proj == WeightKind::kI8)
    run_kind<WeightKind::kI8>(shape, p, stream);
  else
    run_kind<WeightKind::kI4Ratio>(shape, p, stream);
}

}  // namespace quamba2::cuda
