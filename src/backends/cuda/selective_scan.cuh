// SPDX-License-Identifier: Apache-2.0
// What every kernel of selective_scan is given.
#pragma once

#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/scan_state.cuh"
#include "ops/selective_scan.h"

namespace quamba2::cuda {

struct SelectiveScan {
  Numbers x, dt, b, c, out;
  const float *a_log, *d, *dt_bias;  // [E, N], [E], [E] or null
  ScanState state;
  const Segment* segments;
  int32_t a_stride, channels, states, segment_count, tokens, state_every;
};

inline SelectiveScan selective_scan_of(const SelectiveScanArgs& a) {
  SelectiveScan s = {};
  s.x = numbers_of(a.x), s.dt = numbers_of(a.dt), s.b = numbers_of(a.b), s.c = numbers_of(a.c),
  s.out = numbers_of(a.out);
  s.a_log = static_cast<const float*>(a.a_log.data), s.d = static_cast<const float*>(a.d.data);
  s.dt_bias = static_cast<const float*>(a.dt_bias.data);
  s.state = scan_state(a.state);
  s.segments = a.segments;
  s.a_stride = a.a_log.stride[0], s.channels = a.a_log.dim[0], s.states = a.a_log.dim[1];
  s.segment_count = a.segment_count, s.tokens = a.x.values.dim[0];
  s.state_every = a.state.values.dtype == DType::kF32 ? 0 : a.state_every;
  return s;
}

template <ScanInputs kInputs = ScanInputs::kAny>
__device__ __forceinline__ float selective_delta(const SelectiveScan& s, int64_t token, int e) {
  return softplus(input_number<kInputs>(s.dt, token, e) + (s.dt_bias != nullptr ? s.dt_bias[e] : 0.0f));
}

// A channel of 16 states under one dynamic scale, as encode_channel does it, in registers.
__device__ __forceinline__ void store_sixteen(const HeadState& stored, int e, const float (&state)[16]) {
  float largest = 0;
#pragma unroll
  for (int n = 0; n < 16; ++n) largest = fmaxf(largest, fabsf(state[n]));
  const float scale = __fdiv_rn(largest, 127.0f);
  const CodeFactor factor = code_factor(scale);
  stored.scales[e] = scale;
  float carry = 0;
#pragma unroll
  for (int n = 0; n < 16; ++n) {
    const float goal = factor.steps(state[n]) + carry, code = fminf(rintf(goal), 127.0f);
    carry = goal - code;
    reinterpret_cast<int8_t*>(stored.data)[n * stored.row_stride + e] =
        static_cast<int8_t>(__float2int_rn(fmaxf(code, -128.0f)));
  }
}

// The kernels behind the row of selective_scan.cu. Those that return a bool say whether they have launched.
void run_selective_scan_any(const SelectiveScan& s, const Stream& stream);
bool run_selective_scan_tokens(const SelectiveScan& s, const Stream& stream);
int64_t selective_chunked_scratch(const SelectiveScan& s, int64_t segments);  // for at most so many segments
bool run_selective_scan_chunked(const SelectiveScan& s, const Stream& stream);

}  // namespace quamba2::cuda
