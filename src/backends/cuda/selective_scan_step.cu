// SPDX-License-Identifier: Apache-2.0
// selective_scan of one token a sequence with 16 states a channel: a thread has two neighbouring channels, whose states it
// reads as pairs, and takes a few sequences, so that the channels' rates are computed once. A warp has b and c for itself.
#include "backends/cuda/selective_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 128, kStates = 16, kSequences = 2;

template <StateKind kKind>
struct StatePair {
  using Type = char2;
};
template <>
struct StatePair<StateKind::kFloat> {
  using Type = __half2;
};
__device__ __forceinline__ float2 floats_of(char2 v) { return {static_cast<float>(v.x), static_cast<float>(v.y)}; }
__device__ __forceinline__ float2 floats_of(__half2 v) { return __half22float2(v); }

// Codes of a dynamic state of two channels, each rounded as store_sixteen does it.
__device__ __forceinline__ void store_pairs(const HeadState& stored, int e, const float (&first)[kStates],
                                            const float (&second)[kStates]) {
  const ChannelCodes a(first), b(second);
  *reinterpret_cast<float2*>(stored.scales + e) = {a.scale, b.scale};
#pragma unroll
  for (int n = 0; n < kStates; ++n)
    *reinterpret_cast<char2*>(static_cast<char*>(stored.data) + n * stored.row_stride + e) = {a.codes[n], b.codes[n]};
}

template <ScanInputs kInputs, StateKind kKind>
__global__ void __launch_bounds__(kThreads) selective_scan_step(const __grid_constant__ SelectiveScan s) {
  using Pair = typename StatePair<kKind>::Type;
  __shared__ float shared_bc[kThreads / 32][2 * kStates];
  let_next_start();
  const int lane = threadIdx.x % 32;
  const int e = 2 * min(static_cast<int>(blockIdx.x * kThreads + threadIdx.x), s.channels / 2 - 1);
  const bool own = 2 * (blockIdx.x * kThreads + threadIdx.x) < static_cast<unsigned>(s.channels);
  float rate[2][kStates];
#pragma unroll
  for (int j = 0; j < 2; ++j) load_rates(s, e + j, rate[j]);
  const ChannelInputs<kInputs> channel[2] = {{s, e}, {s, e + 1}};
  const float skip[2] = {s.d != nullptr ? s.d[e] : 0.0f, s.d != nullptr ? s.d[e + 1] : 0.0f};
  float* bc = shared_bc[threadIdx.x / 32];
  wait_for_previous();
  const int first = blockIdx.y * kSequences;
  for (int i = first; i < min(first + kSequences, s.segment_count); ++i) {
    const Segment segment = s.segments[i];
    const HeadState stored(s.state, segment.slot, 0);
    const int64_t t = segment.begin;
    Pair held[kStates];
#pragma unroll
    for (int n = 0; n < kStates; ++n) {
      held[n] = *reinterpret_cast<const Pair*>(static_cast<const char*>(stored.data) +
                                               (n * stored.row_stride + e) * static_cast<int64_t>(sizeof(Pair) / 2));
    }
    float2 scale = {1, 1};
    if constexpr (kKind == StateKind::kDynamic) scale = *reinterpret_cast<const float2*>(stored.scales + e);
    __syncwarp();
    bc[lane] = lane < kStates ? input_number<kInputs>(s.b, t, lane) : input_number<kInputs>(s.c, t, lane - kStates);
    const float delta[2] = {channel[0].delta(t), channel[1].delta(t)}, x[2] = {channel[0].x(t), channel[1].x(t)};
    __syncwarp();
    float state[2][kStates], y[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      y[j] = skip[j] * x[j];
      const float input = delta[j] * x[j];
#pragma unroll
      for (int n = 0; n < kStates; ++n) {
        const float2 before = floats_of(held[n]);
        const float now = (j == 0 ? before.x : before.y) * (j == 0 ? scale.x : scale.y);
        state[j][n] = fmaf(power_of_two(delta[j] * rate[j][n]), now, bc[n] * input);
        y[j] = fmaf(bc[kStates + n], state[j][n], y[j]);
      }
    }
    if (!own) continue;
    store_number(s.out, t, e, y[0]), store_number(s.out, t, e + 1, y[1]);
    if constexpr (kKind == StateKind::kDynamic) {
      store_pairs(stored, e, state[0], state[1]);
    } else {
#pragma unroll
      for (int n = 0; n < kStates; ++n)
        *reinterpret_cast<__half2*>(static_cast<__half*>(static_cast<void*>(stored.data)) + n * stored.row_stride + e) =
            __floats2half2_rn(state[0][n], state[1][n]);
    }
  }
}

template <ScanInputs kInputs>
void launch_step(const SelectiveScan& s, const Stream& stream) {
  const LaunchShape shape = {
      dim3((s.channels / 2 + kThreads - 1) / kThreads, (s.segment_count + kSequences - 1) / kSequences),
      dim3(kThreads)};
  if (s.state.kind == StateKind::kDynamic)
    launch(selective_scan_step<kInputs, StateKind::kDynamic>, shape, stream, s);
  else
    launch(selective_scan_step<kInputs, StateKind::kFloat>, shape, stream, s);
}

bool takes_pairs(const SelectiveScan& s) {
  const ScanState& state = s.state;
  const bool halves = state.kind == StateKind::kFloat && state.dtype == DType::kF16;
  if (!halves && state.kind != StateKind::kDynamic) return false;
  if (s.channels % 2 != 0 || (state.slot_stride | state.row_stride) % 2 != 0) return false;
  if (!halves && (state.scale_slot_stride % 2 != 0 || reinterpret_cast<uintptr_t>(state.scales) % 8 != 0)) return false;
  return reinterpret_cast<uintptr_t>(state.data) % 4 == 0;
}

}  // namespace

bool run_selective_scan_step(const SelectiveScan& s, const Stream& stream) {
  if (s.states != kStates || s.tokens != s.segment_count || !takes_pairs(s)) return false;
  switch (inputs_of(s.x, s.dt, s.b, s.c)) {
    case ScanInputs::kFloats: launch_step<ScanInputs::kFloats>(s, stream); break;
    case ScanInputs::kCodes: launch_step<ScanInputs::kCodes>(s, stream); break;
    default: launch_step<ScanInputs::kAny>(s, stream);
  }
  return true;
}

}  // namespace quamba2::cuda
