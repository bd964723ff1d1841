// SPDX-License-Identifier: Apache-2.0
// selective_scan with 16 states a channel: a thread a channel, its states in registers, token after token.
#include "backends/cuda/selective_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 64, kStates = 16;

template <ScanInputs kInputs, StateKind kKind>
__global__ void __launch_bounds__(kThreads) selective_scan_tokens(const __grid_constant__ SelectiveScan s) {
  __shared__ float bc[2 * kStates];
  let_next_start();
  wait_for_previous();
  const int e = min(static_cast<int>(blockIdx.x * kThreads + threadIdx.x), s.channels - 1);
  const bool own = blockIdx.x * kThreads + threadIdx.x < static_cast<unsigned>(s.channels);
  const Segment segment = s.segments[blockIdx.y];
  if (segment.length == 0) return;
  const HeadState stored(s.state, segment.slot, 0);
  float state[kStates], a[kStates];
#pragma unroll
  for (int n = 0; n < kStates; ++n) {
    if constexpr (kKind == StateKind::kDynamic)
      state[n] = static_cast<float>(reinterpret_cast<const int8_t*>(stored.data)[n * stored.row_stride + e]);
    else
      state[n] = stored.decode(n, e);
  }
  load_sixteen(s.a_log + static_cast<int64_t>(e) * s.a_stride, a);
  const float scale = kKind == StateKind::kDynamic ? stored.scales[e] : 1.0f;
#pragma unroll
  for (int n = 0; n < kStates; ++n) state[n] *= scale, a[n] = -expf(a[n]);
  const float skip = s.d != nullptr ? s.d[e] : 0.0f;
  const int64_t end = int64_t{segment.begin} + segment.length;
  for (int64_t t = segment.begin; t < end; ++t) {
    __syncthreads();
    if (threadIdx.x < 2 * kStates) {
      bc[threadIdx.x] = threadIdx.x < kStates ? input_number<kInputs>(s.b, t, threadIdx.x)
                                              : input_number<kInputs>(s.c, t, threadIdx.x - kStates);
    }
    const float delta = selective_delta<kInputs>(s, t, e), x = input_number<kInputs>(s.x, t, e), input = delta * x;
    float y = skip * x;
    __syncthreads();
#pragma unroll
    for (int n = 0; n < kStates; ++n) {
      state[n] = fmaf(expf(delta * a[n]), state[n], bc[n] * input);
      y = fmaf(bc[kStates + n], state[n], y);
    }
    if (own) store_number(s.out, t, e, y);
  }
  if (!own) return;
  if constexpr (kKind != StateKind::kDynamic) {
#pragma unroll
    for (int n = 0; n < kStates; ++n) stored.encode(n, e, state[n]);
  } else {
    store_sixteen(stored, e, state);
  }
}

template <ScanInputs kInputs>
void launch_tokens(const SelectiveScan& s, const Stream& stream) {
  const LaunchShape shape = {dim3((s.channels + kThreads - 1) / kThreads, s.segment_count), dim3(kThreads)};
  switch (s.state.kind) {
    case StateKind::kFloat: return launch(selective_scan_tokens<kInputs, StateKind::kFloat>, shape, stream, s);
    case StateKind::kStatic: return launch(selective_scan_tokens<kInputs, StateKind::kStatic>, shape, stream, s);
    case StateKind::kDynamic: return launch(selective_scan_tokens<kInputs, StateKind::kDynamic>, shape, stream, s);
  }
}

}  // namespace

bool run_selective_scan_tokens(const SelectiveScan& s, const Stream& stream) {
  if (s.states != kStates || s.state_every > 0) return false;
  switch (inputs_of(s.x, s.dt, s.b, s.c)) {
    case ScanInputs::kFloats: launch_tokens<ScanInputs::kFloats>(s, stream); break;
    case ScanInputs::kCodes: launch_tokens<ScanInputs::kCodes>(s, stream); break;
    default: launch_tokens<ScanInputs::kAny>(s, stream);
  }
  return true;
}

}  // namespace quamba2::cuda
