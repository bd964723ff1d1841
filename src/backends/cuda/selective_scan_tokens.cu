// SPDX-License-Identifier: Apache-2.0
// selective_scan with 16 states a channel: a thread a channel, its states in registers, token after token.
#include "backends/cuda/selective_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 64, kStates = 16;

__global__ void __launch_bounds__(kThreads) selective_scan_tokens(const __grid_constant__ SelectiveScan s) {
  __shared__ float bc[2 * kStates];
  let_next_start();
  wait_for_previous();
  const int e = min(static_cast<int>(blockIdx.x * kThreads + threadIdx.x), s.channels - 1);
  const bool own = blockIdx.x * kThreads + threadIdx.x < static_cast<unsigned>(s.channels);
  const Segment segment = s.segments[blockIdx.y];
  if (segment.length == 0) return;
  const HeadState stored(s.state, segment.slot, 0);
  float state[kStates], a[kStates];  // a: exponents to the base 2
#pragma unroll
  for (int n = 0; n < kStates; ++n) {
    a[n] = -expf(s.a_log[static_cast<int64_t>(e) * s.a_stride + n]);
    state[n] = stored.decode(n, e);
  }
  const float skip = s.d != nullptr ? s.d[e] : 0.0f;
  const int64_t end = int64_t{segment.begin} + segment.length;
  for (int64_t t = segment.begin; t < end; ++t) {
    __syncthreads();
    if (threadIdx.x < 2 * kStates) {
      bc[threadIdx.x] =
          threadIdx.x < kStates ? load_number(s.b, t, threadIdx.x) : load_number(s.c, t, threadIdx.x - kStates);
    }
    const float delta = selective_delta(s, t, e), x = load_number(s.x, t, e), input = delta * x;
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
  if (stored.kind != StateKind::kDynamic) {
#pragma unroll
    for (int n = 0; n < kStates; ++n) stored.encode(n, e, state[n]);
    return;
  }
  float largest = 0;
#pragma unroll
  for (int n = 0; n < kStates; ++n) largest = fmaxf(largest, fabsf(state[n]));
  const float scale = __fdiv_rn(largest, 127.0f);
  const CodeFactor factor = code_factor(scale);
  stored.scales[e] = scale;
  float carry = 0;
#pragma unroll
  for (int n = 0; n < kStates; ++n) {
    const float goal = factor.steps(state[n]) + carry, code = fminf(rintf(goal), 127.0f);
    carry = goal - code;
    reinterpret_cast<int8_t*>(stored.data)[n * stored.row_stride + e] =
        static_cast<int8_t>(__float2int_rn(fmaxf(code, -128.0f)));
  }
}

}  // namespace

bool run_selective_scan_tokens(const SelectiveScan& s, const Stream& stream) {
  if (s.states != kStates || s.state_every > 0) return false;
  launch(selective_scan_tokens, {dim3((s.channels + kThreads - 1) / kThreads, s.segment_count), dim3(kThreads)}, stream,
         s);
  return true;
}

}  // namespace quamba2::cuda
