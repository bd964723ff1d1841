// SPDX-License-Identifier: Apache-2.0
// What every kernel of ssd_scan is given.
#pragma once

#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/scan_state.cuh"
#include "ops/ssd_scan.h"

namespace quamba2::cuda {

struct SsdScan {
  Numbers x, dt, b, c, out;
  const float *a_log, *d, *dt_bias;  // d [H] or [H * P], dt_bias [H] or null
  ScanState state;
  const Segment* segments;
  float dt_min, dt_max;
  int32_t heads, states, width, groups, segment_count, tokens, state_every;
  bool d_per_channel;
};

inline SsdScan ssd_scan_of(const SsdScanArgs& a) {
  SsdScan s = {};
  s.x = numbers_of(a.x), s.dt = numbers_of(a.dt), s.b = numbers_of(a.b), s.c = numbers_of(a.c),
  s.out = numbers_of(a.out);
  s.a_log = static_cast<const float*>(a.a_log.data), s.d = static_cast<const float*>(a.d.data);
  s.dt_bias = static_cast<const float*>(a.dt_bias.data);
  s.state = scan_state(a.state);
  s.segments = a.segments;
  s.dt_min = static_cast<float>(a.dt_min), s.dt_max = static_cast<float>(a.dt_max < 3e38 ? a.dt_max : 3e38);
  const TensorView& v = a.state.values;
  s.heads = v.dim[1], s.states = v.dim[2], s.width = v.dim[3], s.groups = a.groups;
  s.segment_count = a.segment_count, s.tokens = a.x.values.dim[0];
  s.state_every = v.dtype == DType::kF32 ? 0 : a.state_every;
  s.d_per_channel = a.d.data != nullptr && a.d.dim[0] == s.heads * s.width && s.width != 1;
  return s;
}

// delta and the decay of a head at a token.
struct SsdStep {
  float delta, decay;
};
template <ScanInputs kInputs = ScanInputs::kAny>
__device__ __forceinline__ float ssd_delta(const SsdScan& s, int64_t token, int h) {
  const float bias = s.dt_bias != nullptr ? s.dt_bias[h] : 0.0f;
  return fminf(fmaxf(softplus(input_number<kInputs>(s.dt, token, h) + bias), s.dt_min), s.dt_max);
}
template <ScanInputs kInputs = ScanInputs::kAny>
__device__ __forceinline__ SsdStep ssd_step(const SsdScan& s, int64_t token, int h) {
  const float delta = ssd_delta<kInputs>(s, token, h);
  return {delta, expf(-delta * expf(s.a_log[h]))};
}
__device__ __forceinline__ float skip_weight(const SsdScan& s, int h, int p) {
  if (s.d == nullptr) return 0.0f;
  return s.d_per_channel ? s.d[h * s.width + p] : s.d[h];
}

// The kernels behind the row of ssd_scan.cu.
void run_ssd_scan_any(const SsdScan& s, const Stream& stream);
bool run_ssd_scan_step(const SsdScan& s, const Stream& stream);         // whether it has launched
bool run_ssd_scan_step_stream(const SsdScan& s, const Stream& stream);  // the same
bool has_ssd_scan_chunked(const SsdScan& s);
int64_t ssd_chunked_scratch(const SsdScan& s, int64_t segments);  // for at most so many segments
void run_ssd_scan_chunked(const SsdScan& s, const Stream& stream);

}  // namespace quamba2::cuda
