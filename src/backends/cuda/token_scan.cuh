// SPDX-License-Identifier: Apache-2.0
// A scan phase: conv, step of the state, and gate, of a head or a part of its channels, a block each. What the phase before
// it does not write is asked for before its numbers are waited for: the state, the conv's history and parameters. A thread has
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

// The conv's channel of this thread: x, then B, then C.
struct ConvPlace {
  bool works;
  int32_t which, channel;
  __device__ __forceinline__ ConvPlace(const ScanPhase& s, const ScanPlace& place) {
    const auto t = static_cast<int32_t>(threadIdx.x);
    const int32_t of_b = t - place.channels, of_c = of_b - place.states;
    which = of_b < 0 ? 0 : of_c < 0 ? 1 : 2;
    works = of_c < place.states;
    channel = which == 0   ? s.begin[0] + place.first + t
              : which == 1 ? s.begin[1] + place.group * place.states + of_b
                           : s.begin[2] + place.group * place.states + of_c;
  }
};

// The input's last numbers of a channel, as they are stored.
struct ConvHistory {
  char* at;
  int32_t step;  // bytes from one to the next
  bool is_codes;
  __device__ __forceinline__ ConvHistory(const ScanPhase& s, int64_t slot, int32_t channel)
      : at(static_cast<char*>(s.history) +
           (slot * (kTaps - 1) * s.history_stride + channel) * (s.history_is_codes ? 1 : 4)),
        step(s.history_stride * (s.history_is_codes ? 1 : 4)),
        is_codes(s.history_is_codes) {}
  __device__ __forceinline__ float load(int k) const {
    const char* p = at + k * step;
    return is_codes ? static_cast<float>(*reinterpret_cast<const int8_t*>(p)) : *reinterpret_cast<const float*>(p);
  }
  __device__ __forceinline__ void store(int k, float code) const {
    char* p = at + k * step;
    if (is_codes)
      *reinterpret_cast<int8_t*>(p) = static_cast<int8_t>(__float2int_rn(code));
    else
      *reinterpret_cast<float*>(p) = code;
  }
};

// Asks the second-level cache for what a scan phase reads beside what is handed to it.
__device__ __forceinline__ void prefetch_scan(const ScanPhase& s, const ScanPlace& place, int64_t slot) {
  if (!place.works) return;
  const auto t = static_cast<int32_t>(threadIdx.x);
  const ConvPlace conv(s, place);
  if (conv.works) {
    prefetch(s.conv + conv.channel);
    const ConvHistory history(s, slot, conv.channel);
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k) prefetch(history.at + k * history.step);
  }
  if (t < place.channels) prefetch(s.channels + place.first + t);
  if (t == 0) prefetch(s.heads + place.head);
  const HeadState state(s.state, slot, place.head);
  const int size = state.dtype == DType::kF16 ? 2 : 4;
  const int32_t lines = (place.channels * size + 127) / 128;  // of a row: one or two
  for (int32_t i = t; i < place.states * lines; i += kTokenThreads)
    prefetch(state.data + ((lines == 1 ? i : i / 2) * state.row_stride + place.first_in_head) * size +
             (lines == 1 ? 0 : i % 2 * 128));
}

// The history of a group's B and C, which its first block has left in `late`. All of the phase's numbers have been taken.
__device__ __forceinline__ void store_late(const ScanPhase& s, const ScanPlace& place, int64_t slot,
                                           const float* late) {
  if (!place.first_of_group) return;
  const ConvPlace conv(s, place);
  if (!conv.works || conv.which == 0) return;
  const ConvHistory history(s, slot, conv.channel);
#pragma unroll
  for (int k = 0; k < kTaps - 1; ++k) history.store(k, late[k * kTokenThreads + threadIdx.x]);
}

// Eight channels of up to kMostStateRows rows of a state of f16 or f32.
struct StateRows {
  float v[kMostStateRows][8];
  int32_t first_row, step, channel;  // of the block's part

  __device__ __forceinline__ StateRows(const ScanPlace& place, const HeadState& state) {
    const auto t = static_cast<int32_t>(threadIdx.x);
    channel = (t & ((1 << place.across_shift) - 1)) * 8;
    first_row = t >> place.across_shift;
    step = kTokenThreads >> place.across_shift;
#pragma unroll
    for (int r = 0; r < kMostStateRows; ++r) {
#pragma unroll
      for (int i = 0; i < 8; ++i) v[r][i] = 0;
      if (row(r) < place.states) load(state, address(place, state, r), v[r]);
    }
  }
  __device__ __forceinline__ int32_t row(int r) const { return first_row + r * step; }

  __device__ __forceinline__ void store(const ScanPlace& place, const HeadState& state) const {
#pragma unroll
    for (int r = 0; r < kMostStateRows; ++r) {
      if (row(r) >= place.states) continue;
      char* to = address(place, state, r);
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
  __device__ __forceinline__ char* address(const ScanPlace& place, const HeadState& state, int r) const {
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

// A channel's numbers after the conv, as the scan reads them. Its history is written, or left in `late` where others read it.
__device__ __forceinline__ void convolve(const ScanPhase& s, const ScanPlace& place, int64_t slot, uint32_t tag,
                                         const ConvPlace& place_of, float* to, float* late) {
  const auto t = static_cast<int32_t>(threadIdx.x);
  const Tagged* input = s.input + place_of.channel;
  const uint64_t first = poll_one(input);
  const float4* column = reinterpret_cast<const float4*>(s.conv + place_of.channel);
  const float4 w = __ldg(column), more = __ldg(column + 1);
  const ConvHistory history(s, slot, place_of.channel);
  const float h0 = history.load(0), h1 = history.load(1), h2 = history.load(2);
  const float in_scale = more.y, out_scale = more.z;
  float y = more.x + w.x * (h0 * in_scale) + w.y * (h1 * in_scale) + w.z * (h2 * in_scale);
  const float now = take_handed(input, first, tag);
  y += w.w * (now * in_scale);
  const float code = as_code(s.silu ? silu(y) : y, out_scale);
  to[t] = out_scale < 0.0f ? code : code * out_scale;
  if (place_of.which == 0) {
    history.store(0, h1), history.store(1, h2), history.store(2, now);
  } else if (place.first_of_group) {
    late[t] = h1, late[kTokenThreads + t] = h2, late[2 * kTokenThreads + t] = now;
  }
}

// Two channels a lane of one warp, lane and lane + 32: gated, the sum of their squares, their Sylvester transform.
__device__ __forceinline__ void hand_on_channels(const ScanPhase& s, const ScanPlace& place, uint32_t tag, float (&y)[2]) {
  const auto lane = static_cast<int32_t>(threadIdx.x);
  if (s.squares != nullptr) {
    const float sum = warp_sum(y[0] * y[0] + y[1] * y[1]);
    if (lane == 0) hand_on(s.squares + blockIdx.x, sum, tag);
  }
  if (s.rotates) {
    if (place.channels > 32) {
      const float a = y[0], b = y[1];
      y[0] = a + b, y[1] = a - b;
    }
#pragma unroll 1
    for (int32_t d = 1; d < min(place.channels, 32); d *= 2) {
      const float mine = lane & d ? -1.0f : 1.0f;
      const float a = __shfl_xor_sync(kAllLanes, y[0], d), b = __shfl_xor_sync(kAllLanes, y[1], d);
      y[0] = fmaf(mine, y[0], a), y[1] = fmaf(mine, y[1], b);
    }
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (lane + 32 * i < place.channels) hand_on(s.out + place.first + lane + 32 * i, y[i], tag);
  }
}

// `tag`: of this phase. `shared`: kMostScanFloats floats, then 64 a warp.
__device__ __forceinline__ void run_scan(const ScanPhase& s, const ScanPlace& place, int64_t slot, uint32_t tag,
                                         float* shared, float* late) {
  if (!place.works) return;  // the whole block
  const auto t = static_cast<int32_t>(threadIdx.x);
  const HeadState state(s.state, slot, place.head);
  StateRows rows(place, state);
  const ConvPlace conv(s, place);
  const float4 of_head = __ldg(reinterpret_cast<const float4*>(s.heads + place.head));
  // The first warp ends the phase: two channels a lane.
  float2 channel[2] = {};
  uint64_t first_z[2] = {};
  const bool ends = t < 32;
  if (ends) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (t + 32 * i >= place.channels) continue;
      channel[i] = __ldg(reinterpret_cast<const float2*>(s.channels + place.first + t + 32 * i));
      first_z[i] = poll_one(s.z + place.first + t + 32 * i);
    }
  }
  if (conv.works) convolve(s, place, slot, tag - 1, conv, shared, late);
  float* const step = shared + kMostScanFloats - 2;  // delta and the decay: of one warp, for all
  if (t >= kTokenThreads - 32) {
    const Tagged* from = s.dt + place.head;
    const float dt = take_handed(from, poll_one(from), tag - 1) * of_head.x + of_head.y;
    const float delta = fminf(fmaxf(softplus(dt), s.dt_min), s.dt_max);
    step[0] = delta, step[1] = expf(-delta * expf(of_head.z));
  }
  float gate[2] = {};
  if (ends) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (t + 32 * i < place.channels)
        gate[i] = silu(take_handed(s.z + place.first + t + 32 * i, first_z[i], tag - 1) * channel[i].x);
    }
  }
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
#pragma unroll 1
  for (int32_t d = across; d < 32; d *= 2) {
#pragma unroll
    for (int i = 0; i < 8; ++i) y[i] += __shfl_xor_sync(kAllLanes, y[i], d);
  }
  float* sums = shared + kMostScanFloats;  // [warp][channel]
  if (t % 32 < across) {
    put_four(sums + t / 32 * 64 + rows.channel, {y[0], y[1], y[2], y[3]});
    put_four(sums + t / 32 * 64 + rows.channel + 4, {y[4], y[5], y[6], y[7]});
  }
  __syncthreads();
  if (ends) {
    float out[2] = {};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int32_t at = t + 32 * i;
      if (at >= place.channels) continue;
      float sum = channel[i].y * x[at];
#pragma unroll
      for (int w = 0; w < kTokenWarps; ++w) sum += sums[w * 64 + at];
      out[i] = sum * gate[i];
    }
    hand_on_channels(s, place, tag, out);
  }
  rows.store(place, state);
}

}  // namespace quamba2::cuda
