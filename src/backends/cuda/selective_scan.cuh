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

// What a thread reads of its channel, token after token: scales and the bias stay in registers, so that a store between two
// tokens does not make them be read again.
template <ScanInputs kInputs>
struct ChannelInputs {
  const SelectiveScan& s;
  int e;
  float x_scale = 1, dt_scale = 1, bias = 0;

  __device__ __forceinline__ ChannelInputs(const SelectiveScan& scan, int channel) : s(scan), e(channel) {
    if constexpr (kInputs == ScanInputs::kCodes) {
      x_scale = static_cast<const float*>(s.x.scales)[e], dt_scale = static_cast<const float*>(s.dt.scales)[e];
    }
    if (s.dt_bias != nullptr) bias = s.dt_bias[e];
  }
  __device__ __forceinline__ float number(const Numbers& x, float scale, int64_t token) const {
    if constexpr (kInputs == ScanInputs::kCodes)
      return static_cast<float>(static_cast<const int8_t*>(x.data)[token * x.stride + e]) * scale;
    return input_number<kInputs>(x, token, e);
  }
  __device__ __forceinline__ float x(int64_t token) const { return number(s.x, x_scale, token); }
  __device__ __forceinline__ float delta(int64_t token) const { return softplus(number(s.dt, dt_scale, token) + bias); }
};

// 2^v in one instruction; what is below 2^-126 is zero.
__device__ __forceinline__ float power_of_two(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}

// The logarithms of a channel's sixteen rates, which may lie at 16 bytes.
__device__ __forceinline__ void load_sixteen(const float* from, float (&to)[16]) {
  if (reinterpret_cast<uint64_t>(from) % 16 == 0) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float4 v = reinterpret_cast<const float4*>(from)[i];
      to[4 * i] = v.x, to[4 * i + 1] = v.y, to[4 * i + 2] = v.z, to[4 * i + 3] = v.w;
    }
    return;
  }
#pragma unroll
  for (int n = 0; n < 16; ++n) to[n] = from[n];
}

constexpr float kLog2E = 1.4426950408889634f;

// Exponents to the base 2 of one unit of delta.
__device__ __forceinline__ void load_rates(const SelectiveScan& s, int e, float (&rate)[16]) {
  load_sixteen(s.a_log + static_cast<int64_t>(e) * s.a_stride, rate);
#pragma unroll
  for (int n = 0; n < 16; ++n) rate[n] = -expf(rate[n]) * kLog2E;
}

// A channel of 16 states under one dynamic scale, as encode_channel does it, in registers.
struct ChannelCodes {
  float scale;
  int8_t codes[16];

  __device__ __forceinline__ explicit ChannelCodes(const float (&state)[16]) {
    float largest = 0;
#pragma unroll
    for (int n = 0; n < 16; ++n) largest = fmaxf(largest, fabsf(state[n]));
    scale = __fdiv_rn(largest, 127.0f);
    const CodeFactor factor = code_factor(scale);
    float carry = 0;
#pragma unroll
    for (int n = 0; n < 16; ++n) {
      const float goal = factor.steps(state[n]) + carry, code = fminf(rintf(goal), 127.0f);
      carry = goal - code;
      codes[n] = static_cast<int8_t>(__float2int_rn(fmaxf(code, -128.0f)));
    }
  }
};
__device__ __forceinline__ void store_sixteen(const HeadState& stored, int e, const float (&state)[16]) {
  const ChannelCodes channel(state);
  stored.scales[e] = channel.scale;
#pragma unroll
  for (int n = 0; n < 16; ++n) reinterpret_cast<int8_t*>(stored.data)[n * stored.row_stride + e] = channel.codes[n];
}

// The kernels behind the row of selective_scan.cu. Those that return a bool say whether they have launched.
void run_selective_scan_any(const SelectiveScan& s, const Stream& stream);
bool run_selective_scan_step(const SelectiveScan& s, const Stream& stream);
bool run_selective_scan_tokens(const SelectiveScan& s, const Stream& stream);
int64_t selective_chunked_scratch(const SelectiveScan& s, int64_t segments);  // for at most so many segments
bool run_selective_scan_chunked(const SelectiveScan& s, const Stream& stream);

}  // namespace quamba2::cuda
