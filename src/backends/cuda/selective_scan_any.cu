// SPDX-License-Identifier: Apache-2.0
// selective_scan token by token for all shapes and formats: a thread a channel, its states in shared memory.
#include "backends/cuda/selective_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 64;

__global__ void __launch_bounds__(kThreads) selective_scan_any(const __grid_constant__ SelectiveScan s) {
  extern __shared__ float shared_state[];  // [states][kThreads]
  let_next_start();
  wait_for_previous();
  const int e = blockIdx.x * kThreads + threadIdx.x;
  const Segment segment = s.segments[blockIdx.y];
  if (e >= s.channels || segment.length == 0) return;
  float* state = shared_state + threadIdx.x;
  const HeadState stored(s.state, segment.slot, 0);
  const float skip = s.d != nullptr ? s.d[e] : 0.0f;
  const int32_t every = s.state_every > 0 ? s.state_every : segment.length;
  for (int32_t at = 0; at < segment.length; at += every) {
    for (int n = 0; n < s.states; ++n) state[n * kThreads] = stored.decode(n, e);
    const int64_t begin = int64_t{segment.begin} + at, end = begin + min(every, segment.length - at);
    for (int64_t t = begin; t < end; ++t) {
      const float delta = selective_delta(s, t, e), x = load_number(s.x, t, e), input = delta * x;
      float y = skip * x;
      for (int n = 0; n < s.states; ++n) {
        const float decay = expf(-delta * expf(s.a_log[static_cast<int64_t>(e) * s.a_stride + n]));
        float& now = state[n * kThreads];
        now = fmaf(decay, now, load_number(s.b, t, n) * input);
        y = fmaf(load_number(s.c, t, n), now, y);
      }
      store_number(s.out, t, e, y);
    }
    if (stored.kind == StateKind::kDynamic) {
      encode_channel(stored, s.states, e, [&](int64_t n) { return state[n * kThreads]; });
    } else {
      for (int n = 0; n < s.states; ++n) stored.encode(n, e, state[n * kThreads]);
    }
  }
}

}  // namespace

void run_selective_scan_any(const SelectiveScan& s, const Stream& stream) {
  const dim3 grid((s.channels + kThreads - 1) / kThreads, s.segment_count);
  launch(selective_scan_any, {grid, dim3(kThreads), static_cast<size_t>(s.states) * kThreads * 4}, stream, s);
}

}  // namespace quamba2::cuda
