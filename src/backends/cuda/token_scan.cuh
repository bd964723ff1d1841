// SPDX-License-Identifier: Apache-2.0
// A scan phase: conv, step of the state, and gate, of a head or a part of its channels, a block each. What the phase before
// it does not write is read before its numbers are waited for: the state, the conv's history and parameters. A thread has
// eight channels of up to kMostStateRows rows of the state; lanes go along the channels first.
//
// Every block of a group convolves the group's B and C for itself; the group's first block writes their history, late: when
// it has been given what all blocks of the phase hand on, they have read it.
#pragma once

#include "backends/cuda/device/vectors.cuh"
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/token_linear.cuh"

namespace quamba2::cuda {

struct ScanPlace {
  int32_t head, group, channels, first;  // channels of this block's part: [first, first + channels) of all heads'
  bool works, first_of_group;
  int32_t first_in_head, states, across_shift;  // 1 << across_shift lanes of eight channels
  __device__ __forceinline__ static ScanPlace make(const TokenProgram& p) {
    const auto block = static_cast<int32_t>(blockIdx.x);
    ScanPlace s = {};
    s.works = block < p.heads * p.parts;
    if (!s.works) return s;
    s.head = block / p.parts;
    s.group = s.head / (p.heads / p.groups);
    s.channels = p.width / p.parts;
    s.first_in_head = block % p.parts * s.channels;
    s.first = s.head * p.width + s.first_in_head;
    s.first_of_group = block % (p.heads / p.groups * p.parts) == 0;
    s.states = p.states;
    while (8 << s.across_shift < s.channels) ++s.across_shift;
    return s;
  }
};

// One channel of the conv: x, then B, then C, a thread each.
struct ConvPlace {
  bool works, writes;
  int32_t channel, column, which;
  __device__ __forceinline__ ConvPlace(const ScanPhase& s, const ScanPlace& place) {
    const auto t = static_cast<int32_t>(threadIdx.x);
    which = t < place.channels ? 0 : t < place.channels + place.states ? 1 : 2;
    works = t < place.channels + 2 * place.states;
    writes = which == 0 || place.first_of_group;
    column =
        which == 0 ? place.first + t : place.group * place.states + t - place.channels - (which - 1) * place.states;
    channel = s.begin[which] + column;
  }
  __device__ __forceinline__ const Numbers& numbers(const ScanPhase& s) const {
    return which == 0 ? s.x : which == 1 ? s.b : s.c;
  }
};

__device__ __forceinline__ int size_of(DType dtype) { return dtype == DType::kF32 ? 4 : dtype == DType::kI8 ? 1 : 2; }
__device__ __forceinline__ void prefetch_number(const Numbers& x, int64_t row, int64_t column) {
  prefetch(static_cast<const char*>(x.data) + (row * x.stride + column) * size_of(x.dtype));
}
__device__ __forceinline__ void prefetch_scale(const Numbers& x, int64_t i) {
  if (x.by == ScaleBy::kColumn || x.by == ScaleBy::kRow) prefetch(static_cast<const float*>(x.scales) + i);
}

// Asks the second-level cache for what a scan phase reads beside what is handed to it.
__device__ __forceinline__ void prefetch_scan(const ScanPhase& s, const ScanPlace& place, int64_t slot) {
  if (!place.works) return;
  const ConvPlace conv(s, place);
  const auto t = static_cast<int32_t>(threadIdx.x);
  if (conv.works) {
    prefetch_scale(s.history, conv.channel);
    prefetch_scale(conv.numbers(s), conv.column);
    prefetch_number(s.conv_weight, conv.channel, 0);
    prefetch_scale(s.conv_weight, conv.channel);
    if (s.conv_bias != nullptr) prefetch(s.conv_bias + conv.channel);
#pragma unroll 1
    for (int k = 0; k < kTaps - 1; ++k) prefetch_number(s.history, slot * (kTaps - 1) + k, conv.channel);
  }
  if (t < place.channels) prefetch_scale(s.z_scales, place.first + t);
  if (t == 0) {
    prefetch_scale(s.dt_scales, place.head);
    prefetch(s.a_log + place.head);
    if (s.dt_bias != nullptr) prefetch(s.dt_bias + place.head);
    if (s.d != nullptr) prefetch(s.d + (s.d_per_channel ? place.first : place.head));
  }
  const HeadState state(s.state, slot, place.head);
  const int size = size_of(state.dtype), channels = place.channels;
  const int32_t lines = (channels * size + 127) / 128;  // of a row
#pragma unroll 1
  for (int32_t i = t; i < place.states * lines; i += kTokenThreads)
    prefetch(state.data + (i / lines * state.row_stride + place.first_in_head) * size + i % lines * 128);
}

struct ConvChannel : ConvPlace {
  float weight[kTaps], history[kTaps - 1], bias, in_scale, out_scale;

  __device__ __forceinline__ ConvChannel(const ScanPhase& s, const ScanPlace& place, int64_t slot)
      : ConvPlace(s, place) {
    if (!works) return;
    const Numbers& out = numbers(s);
    bias = s.conv_bias != nullptr ? s.conv_bias[channel] : 0.0f;
    in_scale = plain_scale(s.history, channel);
    out_scale = plain_scale(out, column);
    const float by = plain_scale(s.conv_weight, channel);
    if (s.conv_weight.dtype == DType::kI8) {
      const char4 w = static_cast<const char4*>(s.conv_weight.data)[channel];
      weight[0] = w.x * by, weight[1] = w.y * by, weight[2] = w.z * by, weight[3] = w.w * by;
    } else {
      const float4 w = static_cast<const float4*>(s.conv_weight.data)[channel];
      weight[0] = w.x, weight[1] = w.y, weight[2] = w.z, weight[3] = w.w;
    }
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k)
      history[k] = plain_code(s.history, (slot * (kTaps - 1) + k) * s.history.stride + channel);
  }

  // The channel's value as the scan reads it, from its input's code. Writes the history, as codes, or leaves it in `late`.
  __device__ __forceinline__ float run(const ScanPhase& s, int64_t slot, float now, float* late) const {
    float y = bias;
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      const float code = k == kTaps - 1 ? now : history[k < kTaps - 1 ? k : 0];
      y += weight[k] * (s.history.by == ScaleBy::kNothing ? code : code * in_scale);
    }
    if (writes) {
#pragma unroll
      for (int k = 0; k < kTaps - 1; ++k) {
        const float code = k == kTaps - 2 ? now : history[k + 1 < kTaps - 1 ? k + 1 : k];
        if (which == 0)
          store_history(s, slot, k, channel, code);
        else
          late[k * kTokenThreads + threadIdx.x] = code;
      }
    }
    const Numbers& to = numbers(s);
    const float code = as_code(to.dtype, s.silu ? silu(y) : y, out_scale);
    return to.by == ScaleBy::kNothing ? code : code * out_scale;
  }

  __device__ __forceinline__ static void store_history(const ScanPhase& s, int64_t slot, int k, int32_t channel,
                                                       float code) {
    const int64_t i = (slot * (kTaps - 1) + k) * s.history.stride + channel;
    if (s.history.dtype == DType::kI8)
      static_cast<int8_t*>(s.history.data)[i] = static_cast<int8_t>(__float2int_rn(code));
    else
      static_cast<float*>(s.history.data)[i] = code;
  }
};

// The history of a group's B and C, which its first block has left in `late`. All of the phase's numbers have been taken.
__device__ __forceinline__ void store_late(const ScanPhase& s, const ScanPlace& place, int64_t slot,
                                           const float* late) {
  const auto t = static_cast<int32_t>(threadIdx.x);
  if (!place.first_of_group || t < place.channels || t >= place.channels + 2 * place.states) return;
  const int32_t i = t - place.channels, part = i / place.states;
  const int32_t channel = s.begin[1 + part] + place.group * place.states + i - part * place.states;
  for (int k = 0; k < kTaps - 1; ++k) ConvChannel::store_history(s, slot, k, channel, late[k * kTokenThreads + t]);
}

// Eight channels of up to kMostStateRows rows of a state of f16 or f32.
struct StateRows {
  float v[kMostStateRows][8];
  int32_t first_row, step, channel;  // of the block's part

  __device__ __forceinline__ StateRows(const ScanPhase& s, const ScanPlace& place, const HeadState& state) {
    const auto t = static_cast<int32_t>(threadIdx.x);
    channel = (t & ((1 << place.across_shift) - 1)) * 8;
    first_row = t >> place.across_shift;
    step = kTokenThreads >> place.across_shift;
#pragma unroll
    for (int r = 0; r < kMostStateRows; ++r) {
#pragma unroll
      for (int i = 0; i < 8; ++i) v[r][i] = 0;
      if (row(r) < place.states) load(state, address(s, place, state, r), v[r]);
    }
  }
  __device__ __forceinline__ int32_t row(int r) const { return first_row + r * step; }

  __device__ __forceinline__ void store(const ScanPhase& s, const ScanPlace& place, const HeadState& state) const {
#pragma unroll
    for (int r = 0; r < kMostStateRows; ++r) {
      if (row(r) >= place.states) continue;
      char* to = address(s, place, state, r);
      if (state.dtype == DType::kF16) {
        __half2 pairs[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) pairs[i] = __floats2half2_rn(v[r][2 * i], v[r][2 * i + 1]);
        *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
      } else {
        reinterpret_cast<float4*>(to)[0] = {v[r][0], v[r][1], v[r][2], v[r][3]};
        reinterpret_cast<float4*>(to)[1] = {v[r][4], v[r][5], v[r][6], v[r][7]};
      }
    }
  }

 private:
  __device__ __forceinline__ char* address(const ScanPhase& s, const ScanPlace& place, const HeadState& state,
                                           int r) const {
    const int64_t at = row(r) * state.row_stride + place.first_in_head + channel;
    return state.data + at * (state.dtype == DType::kF16 ? 2 : 4);
  }
  __device__ __forceinline__ static void load(const HeadState& state, const char* from, float (&to)[8]) {
    if (state.dtype == DType::kF16) {
      const uint4 words = *reinterpret_cast<const uint4*>(from);
      const uint32_t word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 pair = __half22float2(*reinterpret_cast<const __half2*>(&word[i]));
        to[2 * i] = pair.x, to[2 * i + 1] = pair.y;
      }
    } else {
      const float4 a = reinterpret_cast<const float4*>(from)[0], b = reinterpret_cast<const float4*>(from)[1];
      to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w, to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
    }
  }
};

// `tag`: of this phase. `shared`: kMostScanFloats floats, then 64 a warp.
__device__ __forceinline__ void run_scan(const ScanPhase& s, const ScanPlace& place, int64_t slot, uint32_t tag,
                                         float* shared, float* late) {
  if (!place.works) return;  // the whole block
  const ConvChannel conv(s, place, slot);
  const HeadState state(s.state, slot, place.head);
  StateRows rows(s, place, state);
  const auto t = static_cast<int32_t>(threadIdx.x);
  const bool writes = t < place.channels;  // out
  const float dt_bias = s.dt_bias != nullptr ? s.dt_bias[place.head] : 0.0f, a_log = s.a_log[place.head];
  const float dt_scale = plain_scale(s.dt_scales, place.head);
  const float z_scale = writes ? plain_scale(s.z_scales, place.first + t) : 1.0f;
  float skip = 0;
  if (writes && s.d != nullptr) skip = s.d_per_channel ? s.d[place.first + t] : s.d[place.head];

  const Tagged *input = s.input + (conv.works ? conv.channel : 0), *z = s.z + place.first + (writes ? t : 0);
  const uint64_t first_input = poll_one(input), first_z = poll_one(z), first_dt = poll_one(s.dt + place.head);
  if (conv.works) shared[t] = conv.run(s, slot, take_handed(input, first_input, tag - 1), late);
  float* const step = shared + kMostScanFloats - 2;  // delta and the decay: of one warp, for all
  if (t >= kTokenThreads - 32) {
    const float dt = take_handed(s.dt + place.head, first_dt, tag - 1) * dt_scale + dt_bias;
    const float of_head = fminf(fmaxf(softplus(dt), s.dt_min), s.dt_max);
    step[0] = of_head, step[1] = expf(-of_head * expf(a_log));
  }
  const float gate = writes ? silu(take_handed(z, first_z, tag - 1) * z_scale) : 0.0f;
  __syncthreads();

  const float delta = step[0], decay = step[1];
  const float *x = shared, *b = shared + place.channels, *c = b + place.states;
  float input_of[8], y[8] = {};
#pragma unroll
  for (int i = 0; i < 8; ++i) input_of[i] = delta * x[rows.channel + i];
#pragma unroll
  for (int r = 0; r < kMostStateRows; ++r) {
    if (rows.row(r) >= place.states) continue;
    const float b_row = b[rows.row(r)], c_row = c[rows.row(r)];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      rows.v[r][i] = fmaf(decay, rows.v[r][i], b_row * input_of[i]);
      y[i] = fmaf(c_row, rows.v[r][i], y[i]);
    }
  }
  const int32_t across = 1 << place.across_shift;
  for (int32_t d = across; d < 32; d *= 2) {
#pragma unroll
    for (int i = 0; i < 8; ++i) y[i] += __shfl_xor_sync(kAllLanes, y[i], d);
  }
  float* sums = shared + kMostScanFloats;  // [warp][channel]
  if (t % 32 < across) {
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[t / 32 * 64 + rows.channel + i] = y[i];
  }
  __syncthreads();
  if (writes) {
    float sum = skip * x[t];
#pragma unroll
    for (int w = 0; w < kTokenWarps; ++w) sum += sums[w * 64 + t];
    hand_on(s.out + place.first + t, sum * gate, tag);
  }
  rows.store(s, place, state);
}

}  // namespace quamba2::cuda
