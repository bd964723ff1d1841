// SPDX-License-Identifier: Apache-2.0
// ssd_scan token by token for all shapes and formats: a thread a channel, its state in shared memory.
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 64;

// Channel p of a head, tokens of one run.
__device__ void scan_run(const SsdScan& s, int h, int p, int64_t begin, int64_t end, float* state) {
  const int64_t first = static_cast<int64_t>(h) / (s.heads / s.groups) * s.states;
  const float skip = skip_weight(s, h, p);
  const int64_t column = static_cast<int64_t>(h) * s.width + p;
  for (int64_t t = begin; t < end; ++t) {
    const SsdStep step = ssd_step(s, t, h);
    const float x = load_number(s.x, t, column), input = step.delta * x;
    float y = skip * x;
    for (int n = 0; n < s.states; ++n) {
      float& at = state[n * kThreads];
      at = fmaf(step.decay, at, load_number(s.b, t, first + n) * input);
      y = fmaf(load_number(s.c, t, first + n), at, y);
    }
    store_number(s.out, t, column, y);
  }
}

__global__ void __launch_bounds__(kThreads) ssd_scan_any(const __grid_constant__ SsdScan s) {
  extern __shared__ float shared_state[];  // [states][kThreads]
  let_next_start();
  wait_for_previous();
  const int h = blockIdx.x, p = blockIdx.z * kThreads + threadIdx.x;
  const Segment segment = s.segments[blockIdx.y];
  if (p >= s.width || segment.length == 0) return;
  float* state = shared_state + threadIdx.x;
  const HeadState stored(s.state, segment.slot, h);
  const int32_t every = s.state_every > 0 ? s.state_every : segment.length;
  for (int32_t at = 0; at < segment.length; at += every) {
    for (int n = 0; n < s.states; ++n) state[n * kThreads] = stored.decode(n, p);
    const int64_t begin = int64_t{segment.begin} + at, end = begin + min(every, segment.length - at);
    scan_run(s, h, p, begin, end, state);
    if (stored.kind == StateKind::kDynamic) {
      encode_channel(stored, s.states, p, [&](int64_t n) { return state[n * kThreads]; });
    } else {
      for (int n = 0; n < s.states; ++n) stored.encode(n, p, state[n * kThreads]);
    }
  }
}

}  // namespace

void run_ssd_scan_any(const SsdScan& s, const Stream& stream) {
  const dim3 grid(s.heads, s.segment_count, (s.width + kThreads - 1) / kThreads);
  launch(ssd_scan_any, {grid, dim3(kThreads), static_cast<size_t>(s.states) * kThreads * 4}, stream, s);
}

}  // namespace quamba2::cuda
