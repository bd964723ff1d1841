// SPDX-License-Identifier: Apache-2.0
// selective_scan of prompts with 16 states a channel: chunks of 64 tokens run side by side, a thread a channel.
//
//   selective_ends      each chunk from a state of zeros: its end, and the sum of its deltas
//   selective_starts    s <- exp(a sum of deltas) s + end, chunk after chunk: the state that each chunk starts with
//   selective_outputs   each chunk from its state: outputs; the last one of a segment writes the state
#include "backends/cuda/selective_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 64, kChunk = 64, kStates = 16;

struct ChunkBuffers {
  float* ends;    // [chunks][kStates][channels]; then what the chunks start with
  float* deltas;  // [chunks][channels]
};

__device__ __forceinline__ int chunks_of(const Segment& segment) { return (segment.length + kChunk - 1) / kChunk; }

struct ChunkPlace {
  Segment segment;
  int64_t begin;
  int length;  // 0: there is no such chunk
  bool last;
};
__device__ __forceinline__ ChunkPlace chunk_place(const SelectiveScan& s, int index) {
  for (int i = 0; i < s.segment_count; ++i) {
    const Segment segment = s.segments[i];
    const int count = chunks_of(segment);
    if (index < count) {
      const int at = index * kChunk;
      return {segment, int64_t{segment.begin} + at, min(kChunk, segment.length - at), index + 1 == count};
    }
    index -= count;
  }
  return {{}, 0, 0, false};
}

struct alignas(16) ChunkInputs {
  float b[kChunk][kStates], c[kChunk][kStates];
};
__device__ __forceinline__ void stage(const SelectiveScan& s, const ChunkPlace& chunk, bool with_c, ChunkInputs* to) {
  for (int i = threadIdx.x; i < chunk.length * kStates; i += kThreads) {
    to->b[i / kStates][i % kStates] = load_number(s.b, chunk.begin + i / kStates, i % kStates);
    if (with_c) to->c[i / kStates][i % kStates] = load_number(s.c, chunk.begin + i / kStates, i % kStates);
  }
  __syncthreads();
}

// A token's numbers of b or c: the same for all threads.
__device__ __forceinline__ void read_sixteen(const float (&from)[kStates], float (&to)[kStates]) {
#pragma unroll
  for (int i = 0; i < kStates / 4; ++i) {
    const float4 v = reinterpret_cast<const float4*>(from)[i];
    to[4 * i] = v.x, to[4 * i + 1] = v.y, to[4 * i + 2] = v.z, to[4 * i + 3] = v.w;
  }
}

template <ScanInputs kInputs>
__global__ void __launch_bounds__(kThreads)
    selective_ends(const __grid_constant__ SelectiveScan s, const __grid_constant__ ChunkBuffers buffers) {
  __shared__ ChunkInputs inputs;
  let_next_start();
  wait_for_previous();
  const ChunkPlace chunk = chunk_place(s, blockIdx.y);
  if (chunk.length == 0 || chunk.last) return;  // nobody starts behind the last one
  stage(s, chunk, false, &inputs);
  const int e = blockIdx.x * kThreads + threadIdx.x;
  if (e >= s.channels) return;
  float rate[kStates], state[kStates] = {}, deltas = 0;
  load_rates(s, e, rate);
  const ChannelInputs<kInputs> channel(s, e);
#pragma unroll 4
  for (int t = 0; t < chunk.length; ++t) {
    const float delta = channel.delta(chunk.begin + t), input = delta * channel.x(chunk.begin + t);
    deltas += delta;
    float b[kStates];
    read_sixteen(inputs.b[t], b);
#pragma unroll
    for (int n = 0; n < kStates; ++n) state[n] = fmaf(power_of_two(delta * rate[n]), state[n], b[n] * input);
  }
  float* ends = buffers.ends + static_cast<int64_t>(blockIdx.y) * kStates * s.channels + e;
#pragma unroll
  for (int n = 0; n < kStates; ++n) ends[static_cast<int64_t>(n) * s.channels] = state[n];
  buffers.deltas[static_cast<int64_t>(blockIdx.y) * s.channels + e] = deltas;
}

__global__ void __launch_bounds__(kThreads)
    selective_starts(const __grid_constant__ SelectiveScan s, const __grid_constant__ ChunkBuffers buffers) {
  let_next_start();
  wait_for_previous();
  const int e = blockIdx.x * kThreads + threadIdx.x, n = blockIdx.y;
  const Segment segment = s.segments[blockIdx.z];
  if (e >= s.channels || segment.length == 0) return;
  int64_t first = 0;
  for (int i = 0; i < static_cast<int>(blockIdx.z); ++i) first += chunks_of(s.segments[i]);
  const HeadState stored(s.state, segment.slot, 0);
  const float rate = -expf(s.a_log[static_cast<int64_t>(e) * s.a_stride + n]) * kLog2E;
  float state = stored.decode(n, e);
  const int chunks = chunks_of(segment);
#pragma unroll 4
  for (int i = 0; i < chunks; ++i) {
    float* at = buffers.ends + ((first + i) * kStates + n) * s.channels + e;
    const float end = i + 1 < chunks ? *at : 0.0f;
    const float deltas = i + 1 < chunks ? buffers.deltas[(first + i) * s.channels + e] : 0.0f;
    *at = state;
    state = fmaf(power_of_two(deltas * rate), state, end);
  }
}

__device__ __forceinline__ void store_state(const HeadState& stored, int e, const float (&state)[kStates]) {
  if (stored.kind == StateKind::kDynamic) return store_sixteen(stored, e, state);
#pragma unroll
  for (int n = 0; n < kStates; ++n) stored.encode(n, e, state[n]);
}

template <ScanInputs kInputs>
__global__ void __launch_bounds__(kThreads)
    selective_outputs(const __grid_constant__ SelectiveScan s, const __grid_constant__ ChunkBuffers buffers) {
  __shared__ ChunkInputs inputs;
  let_next_start();
  wait_for_previous();
  const ChunkPlace chunk = chunk_place(s, blockIdx.y);
  if (chunk.length == 0) return;
  stage(s, chunk, true, &inputs);
  const int e = blockIdx.x * kThreads + threadIdx.x;
  if (e >= s.channels) return;
  float rate[kStates], state[kStates];
  load_rates(s, e, rate);
  const float* starts = buffers.ends + static_cast<int64_t>(blockIdx.y) * kStates * s.channels + e;
#pragma unroll
  for (int n = 0; n < kStates; ++n) state[n] = starts[static_cast<int64_t>(n) * s.channels];
  const float skip = s.d != nullptr ? s.d[e] : 0.0f;
  const ChannelInputs<kInputs> channel(s, e);
#pragma unroll 4
  for (int t = 0; t < chunk.length; ++t) {
    const float delta = channel.delta(chunk.begin + t), x = channel.x(chunk.begin + t), input = delta * x;
    float y = skip * x, b[kStates], c[kStates];
    read_sixteen(inputs.b[t], b), read_sixteen(inputs.c[t], c);
#pragma unroll
    for (int n = 0; n < kStates; ++n) {
      state[n] = fmaf(power_of_two(delta * rate[n]), state[n], b[n] * input);
      y = fmaf(c[n], state[n], y);
    }
    store_number(s.out, chunk.begin + t, e, y);
  }
  if (chunk.last) store_state(HeadState(s.state, chunk.segment.slot, 0), e, state);
}

int64_t most_chunks(const SelectiveScan& s, int64_t segments) { return s.tokens / kChunk + segments; }

template <ScanInputs kInputs>
void launch_chunks(const SelectiveScan& s, const ChunkBuffers& buffers, unsigned chunks, const Stream& stream) {
  const auto across = static_cast<unsigned>((s.channels + kThreads - 1) / kThreads);
  launch(selective_ends<kInputs>, {dim3(across, chunks), dim3(kThreads)}, stream, s, buffers);
  launch(selective_starts, {dim3(across, kStates, static_cast<unsigned>(s.segment_count)), dim3(kThreads)}, stream, s,
         buffers);
  launch(selective_outputs<kInputs>, {dim3(across, chunks), dim3(kThreads)}, stream, s, buffers);
}

}  // namespace

int64_t selective_chunked_scratch(const SelectiveScan& s, int64_t segments) {
  return s.states == kStates ? most_chunks(s, segments) * (kStates + 1) * s.channels * 4 : 0;
}

bool run_selective_scan_chunked(const SelectiveScan& s, const Stream& stream) {
  if (s.states != kStates || s.state_every > 0 || s.tokens < 32 * s.segment_count) return false;
  const auto chunks = static_cast<unsigned>(most_chunks(s, s.segment_count));
  float* ends = reinterpret_cast<float*>(stream.scratch);
  const ChunkBuffers buffers = {ends, ends + static_cast<int64_t>(chunks) * kStates * s.channels};
  switch (inputs_of(s.x, s.dt, s.b, s.c)) {
    case ScanInputs::kFloats: launch_chunks<ScanInputs::kFloats>(s, buffers, chunks, stream); break;
    case ScanInputs::kCodes: launch_chunks<ScanInputs::kCodes>(s, buffers, chunks, stream); break;
    default: launch_chunks<ScanInputs::kAny>(s, buffers, chunks, stream);
  }
  return true;
}

}  // namespace quamba2::cuda
