// SPDX-License-Identifier: Apache-2.0
// The kernel that carries out a token program (token_program.cuh): one block a multiprocessor, all at once.
#include <cuda_runtime.h>

#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/token_linear.cuh"
#include "backends/cuda/token_program.cuh"
#include "backends/cuda/token_row.cuh"
#include "backends/cuda/token_scan.cuh"
#include "backends/cuda/token_stream.cuh"

namespace quamba2::cuda {
namespace {

// What the phase reads that no phase writes: asked for while the one before it runs.
__device__ __forceinline__ void prefetch_phase(const Phase& phase, const ScanPlace& place, WarpTable table,
                                               int64_t slot) {
  if (phase.kind == PhaseKind::kScan) return prefetch_scan(phase.scan, place, slot);
  const LinearPhase& l = phase.linear;
  const WarpTiles& tiles = table[l.shape][0];
  constexpr int32_t kALine = 128 / sizeof(ResultColumn);
  const auto first = static_cast<int32_t>(threadIdx.x) * kALine;
  if (first < tiles.bands * kBandRows) prefetch(l.results + tiles.first_band * kBandRows + first);
}

struct Block {
  RowBuffers row;
  float *scan, *late;
  uint32_t* partials;
  WarpTable table;
  const BandWarps (*bands)[kBandsOfThreads];  // of each shape
  const ScanPlace* place;
};

template <WeightKind kKind>
__device__ __forceinline__ void run_linear(const TokenProgram& p, const Phase& phase, const Phase* last, uint32_t tag,
                                           int64_t slot, const Block& block, BlockReducer& reducer,
                                           TileStream<kKind>& stream) {
  const LinearPhase& l = phase.linear;
  const auto warp = static_cast<int32_t>(threadIdx.x) / 32;
  const float x_scale = make_row<kKind>(p, l, tag - 1, block.row, reducer);
  __syncthreads();
  const WarpTiles tiles = block.table[l.shape][warp];
  const FirstResult result = FirstResult::make(l, tiles, block.bands[l.shape]);
  multiply_tiles<kKind>(l, tiles, reinterpret_cast<const char*>(block.row.other), stream,
                        block.partials + warp * p.partial_bands * kBandRows);
  if (last != nullptr && last->kind == PhaseKind::kScan) store_late(last->scan, *block.place, slot, block.late);
  __syncthreads();
  finish_linear<kKind>(l, tiles, result, x_scale, block.partials, p.partial_bands, block.row.kept, tag);
}

template <WeightKind kKind>
__global__ void __launch_bounds__(kTokenThreads, 1) token_kernel(const __grid_constant__ TokenProgram p) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ uint4 shared_memory[];
  alignas(16) __shared__ float reduce[BlockReducer::kFloats];
  __shared__ float squares[kTokenThreads], factors[kMostGroups];
  __shared__ WarpTiles table[kMostShapes][kTokenWarps];
  __shared__ BandWarps bands[kMostShapes][kBandsOfThreads];
  __shared__ ScanPlace place;
  __shared__ uint64_t barriers[kTokenWarps * kMostStages];
  char* base = reinterpret_cast<char*>(shared_memory);
  const TokenShared at = token_shared(p);
  const auto floats = [&](int32_t offset) { return reinterpret_cast<float*>(base + offset); };
  const Block block = {{floats(at.kept), floats(at.values), floats(at.other), squares, factors},
                       floats(at.scan),
                       floats(at.late),
                       reinterpret_cast<uint32_t*>(base + at.partial),
                       table,
                       bands,
                       &place};
  const auto t = static_cast<int32_t>(threadIdx.x);
  auto* streams = reinterpret_cast<WeightStream*>(base + at.streams);
  auto* phases = reinterpret_cast<Phase*>(base + at.phases);
  constexpr int32_t kPhaseWords = sizeof(Phase) / 16;
  const auto copy = [&](void* to, const void* from, int32_t words) {
    for (int32_t i = t; i < words; i += kTokenThreads) static_cast<uint4*>(to)[i] = static_cast<const uint4*>(from)[i];
  };
  copy(streams, p.streams, p.stream_count * static_cast<int32_t>(sizeof(WeightStream)) / 16);
  copy(phases, p.phases, min(2, p.phase_count) * kPhaseWords);
  if (t < p.shape_count * kTokenWarps)
    table[t / kTokenWarps][t % kTokenWarps] = WarpTiles::make(p.shape[t / kTokenWarps], t % kTokenWarps);
  if (t == 0) place = ScanPlace::make(p);
  __syncthreads();
  if (t < p.shape_count * kBandsOfThreads) {
    const int32_t shape = t / kBandsOfThreads, band = t % kBandsOfThreads, count = table[shape][0].bands;
    if (band < count) bands[shape][band] = BandWarps::make(count, p.shape[shape].k_tiles, band);
  }
  __syncthreads();

  TileStream<kKind> stream(p, base + t / 32 * p.stages * stage_bytes_of(kKind), barriers + t / 32 * kMostStages,
                           streams, table);
  BlockReducer reducer(reduce);
  const int64_t slot = p.segments != nullptr ? p.segments[0].slot : 0;
  for (int32_t i = 0; i < min(2, p.phase_count); ++i) prefetch_phase(phases[i], place, table, slot);
#pragma unroll 1
  for (int32_t i = 0; i < p.phase_count; ++i) {
    const int32_t before = (i + kPhasesAhead - 1) % kPhasesAhead, now = i % kPhasesAhead, later = (i + 2) % kPhasesAhead;
    if (i + 2 < p.phase_count && t < kPhaseWords)
      copy_16(reinterpret_cast<uint4*>(phases + later) + t, reinterpret_cast<const uint4*>(p.phases + i + 2) + t);
    commit_copies();
    const uint32_t tag = p.before + static_cast<uint32_t>(i) + 1;
    if (phases[now].kind == PhaseKind::kLinear)
      run_linear<kKind>(p, phases[now], i > 0 ? phases + before : nullptr, tag, slot, block, reducer, stream);
    else
      run_scan(phases[now].scan, place, slot, tag, block.scan, block.late);
    wait_copies<0>();
    __syncthreads();
    // Nobody waits for this block now: the time to ask for what comes later.
    if (i + 2 < p.phase_count) prefetch_phase(phases[later], place, table, slot);
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
