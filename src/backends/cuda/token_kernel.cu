// SPDX-License-Identifier: Apache-2.0
// The kernel that carries out a token program (token_program.cuh): one block a multiprocessor, all at once.
#include <cuda_runtime.h>

#include "backends/cuda/token_linear.cuh"
#include "backends/cuda/token_row.cuh"
#include "backends/cuda/token_scan.cuh"
#include "backends/cuda/token_turn.cuh"

namespace quamba2::cuda {
namespace {

// What of a block lies in shared memory without asking for its size.
struct BlockTables {
  WarpTiles tiles[kShapes][kTokenWarps];
  BandWarps bands[kShapes][kBandsOfThreads];
  float2 measures[3][kTokenWarps];  // of in_proj's row; of out_proj's: squares, and magnitudes
  float factors[kMostNormGroups + kMostParts];
  uint64_t barriers[kTokenWarps * kMostStages];

  __device__ __forceinline__ void fill(const TokenProgram& p) {
    const auto t = static_cast<int32_t>(threadIdx.x);
    if (t < kShapes * kTokenWarps)
      tiles[t / kTokenWarps][t % kTokenWarps] = WarpTiles::make(p.shape[t / kTokenWarps], t % kTokenWarps);
    __syncthreads();
    if (t < kShapes * kBandsOfThreads) {
      const int32_t shape = t / kBandsOfThreads, band = t % kBandsOfThreads, count = tiles[shape][0].bands;
      if (band < count) bands[shape][band] = BandWarps::make(count, p.shape[shape].k_tiles, band);
    }
  }
};

template <WeightKind kKind>
struct Block {
  const TokenProgram& p;
  BlockTables& tables;
  TileStream<kKind>& stream;
  char *x_in, *x_out, *levels;
  float* row;
  uint32_t* partials;
  const uint4* mix;
  ScanShared scan;

  // Products of a shape's bands with the row; `take` has the results.
  template <class Take>
  __device__ __forceinline__ void multiply(int shape, const FirstResult& first, const ResultColumn* columns,
                                           const char* row, float x_scale, Take take) const {
    const auto warp = static_cast<int32_t>(threadIdx.x) / 32;
    const WarpTiles& tiles = tables.tiles[shape][warp];
    multiply_tiles<kKind>(p.shape[shape], tiles, row, stream, partials + warp * p.partial_bands * kBandRows);
    __syncthreads();
    finish_linear<kKind>(p.shape[shape], tiles, first, columns, x_scale, partials, p.partial_bands, take);
  }
  __device__ __forceinline__ FirstResult first_result(int shape, const ResultColumn* columns) const {
    return FirstResult(columns, tables.tiles[shape][0], tables.bands[shape]);
  }

  // The residual's norm times in_proj, or the head.
  __device__ __forceinline__ void in_proj(const LayerTables& layer, Residual* residual, const ScanPlace& place,
                                          uint32_t number, bool is_first) const {
    const FirstResult first = first_result(0, layer.in);
    if (place.works) prefetch_scan(p, layer, place);
    if (!is_first) residual->add(p, Turn(number - 1));
    const float x_scale = residual->encode<kKind>(p, layer, tables.measures[0], row, x_in);
    const Turn turn(number);
    uint32_t* const to = p.in_results + turn.place * p.in_words;
    multiply(0, first, layer.in, x_in, x_scale, [&](int32_t n, float y, const ResultColumn& c) {
      if (p.layer_count == 0) {
        p.data[n] = y;
      } else {
        hand_on(to + n, c.inverse < 0.0f ? y : fminf(fmaxf(rintf(y * c.inverse), -128.0f), 127.0f), turn.mark);
      }
    });
  }

  __device__ __forceinline__ void out_proj(const LayerTables& layer, const Residual& residual, const ScanPlace& place,
                                           const ConvHistory& late, Turn turn, bool is_last) const {
    const FirstResult first = first_result(1, layer.out);
    const TurnedRow turned(p, levels, tables.measures[1], tables.factors);
    turned.take(turn);
    __syncthreads();
    store_late(p, layer, place, late);
    const float x_scale = turned.template encode<kKind>(layer, mix, tables.measures[2], x_out);
    float* const kept = reinterpret_cast<float*>(levels);  // which have been read
    if (is_last) {
      residual.store(p.width, kept);
      __syncthreads();
    }
    uint32_t* const to = p.out_results + turn.place * p.out_words;
    multiply(1, first, layer.out, x_out, x_scale, [&](int32_t n, float y, const ResultColumn&) {
      if (is_last) {
        p.data[n] = y + kept[n];
      } else {
        hand_on(to + n, y, turn.mark);
      }
    });
  }
};

template <WeightKind kKind>
__global__ void __launch_bounds__(kTokenThreads, 1) token_kernel(const __grid_constant__ TokenProgram p) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ uint4 shared_memory[];
  __shared__ BlockTables tables;
  char* base = reinterpret_cast<char*>(shared_memory);
  const TokenShared at = token_shared(p);
  const auto t = static_cast<int32_t>(threadIdx.x);
  const auto copy = [&](int32_t to, const void* from, int32_t bytes) {
    for (int32_t i = t; i < bytes / 16; i += kTokenThreads)
      reinterpret_cast<uint4*>(base + to)[i] = static_cast<const uint4*>(from)[i];
  };
  copy(at.streams, p.streams, p.stream_count * static_cast<int32_t>(sizeof(WeightStream)));
  copy(at.layers, p.layers, max(p.layer_count, 1) * static_cast<int32_t>(sizeof(LayerTables)));
  copy(at.mix, p.turn.mix, p.turn.tiles * p.turn.tiles * 512);
  for (int32_t i = t; i < (at.partial - at.x_in) / 4; i += kTokenThreads)
    reinterpret_cast<uint32_t*>(base + at.x_in)[i] = 0;  // columns behind the last stay zeros
  for (int32_t i = t; i < (at.row - at.turn) / 4; i += kTokenThreads)
    reinterpret_cast<uint32_t*>(base + at.turn)[i] = 0;
  tables.fill(p);
  __syncthreads();

  TileStream<kKind> stream(p, base + t / 32 * p.stages * stage_bytes_of(kKind), tables.barriers + t / 32 * kMostStages,
                           reinterpret_cast<const WeightStream*>(base + at.streams), tables.tiles);
  float* const numbers = reinterpret_cast<float*>(base + at.scan);
  const Block<kKind> block = {p,
                              tables,
                              stream,
                              base + at.x_in,
                              base + at.x_out,
                              base + at.turn,
                              reinterpret_cast<float*>(base + at.row),
                              reinterpret_cast<uint32_t*>(base + at.partial),
                              reinterpret_cast<const uint4*>(base + at.mix),
                              {numbers, numbers + kTokenThreads, reinterpret_cast<float*>(base + at.sums)}};
  const auto* layers = reinterpret_cast<const LayerTables*>(base + at.layers);
  const ScanPlace place(p, p.segments != nullptr ? p.segments[0].slot : 0);
  Residual residual(p);
  if (p.begin_turn.width > 0) residual.rotate(p.begin_turn, block.row);
  ConvHistory late = {};
  if (p.layer_count == 0) block.in_proj(layers[0], &residual, place, p.before, true);
#pragma unroll 1
  for (int32_t i = 0; i < p.layer_count; ++i) {
    const uint32_t number = p.before + static_cast<uint32_t>(i);
    block.in_proj(layers[i], &residual, place, number, i == 0);
    if (place.works) {
      if (p.scan.state_is_half)
        run_scan<__half2>(p, layers[i], place, Turn(number), block.scan, &late);
      else
        run_scan<float2>(p, layers[i], place, Turn(number), block.scan, &late);
    }
    block.out_proj(layers[i], residual, place, late, Turn(number), i + 1 == p.layer_count);
  }
#else
  __trap();  // has_token_kernel is asked before
#endif
}

using TokenKernel = void (*)(TokenProgram);
TokenKernel kernel_of(WeightKind kind) {
  switch (kind) {
    case WeightKind::kI8: return token_kernel<WeightKind::kI8>;
    case WeightKind::kI4Ratio: return token_kernel<WeightKind::kI4Ratio>;
    case WeightKind::kI4: return token_kernel<WeightKind::kI4>;
    case WeightKind::kI6: return token_kernel<WeightKind::kI6>;
    case WeightKind::kI4Float: return token_kernel<WeightKind::kI4Float>;
    case WeightKind::kI6Float: return token_kernel<WeightKind::kI6Float>;
    case WeightKind::kI8Float: return token_kernel<WeightKind::kI8Float>;
    case WeightKind::kF16: return token_kernel<WeightKind::kF16>;
    default: return token_kernel<WeightKind::kBF16>;
  }
}

}  // namespace

bool has_token_kernel(WeightKind kind) {
  cudaFuncAttributes attributes = {};
  const bool is_known = cudaFuncGetAttributes(&attributes, kernel_of(kind)) == cudaSuccess;
  cudaGetLastError();
  return !is_known || attributes.ptxVersion >= 90;
}

void launch_token_program(const TokenProgram& p, int32_t blocks, void* stream) {
  const auto bytes = static_cast<size_t>(token_shared(p).total);
  cudaLaunchAttribute together;
  together.id = cudaLaunchAttributeCooperative;
  together.val.cooperative = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(kTokenThreads);
  config.dynamicSmemBytes = bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  config.attrs = &together;
  config.numAttrs = 1;
  const TokenKernel kernel = kernel_of(p.kind);
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  cudaLaunchKernelEx(&config, kernel, p);  // a failed launch is found by cudaGetLastError
}

}  // namespace quamba2::cuda
