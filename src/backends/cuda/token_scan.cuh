// SPDX-License-Identifier: Apache-2.0
// A scan phase: conv, step of the state, and gate, of a head or a part of its channels, a block each. What the phase before
// it does not write is asked for before its numbers are waited for: the state, the conv's history and the tables. A thread has
// one number to wait for: of x, B or C, of z, or the head's dt; then two channels of up to kMostPasses rows of the state.
//
// Every block of a group convolves the group's B and C for itself; the group's first block writes their history, late: when
// it has been given what all blocks of the phase hand on, they have read it.
#pragma once

#include "backends/cuda/scan_state.cuh"
#include "backends/cuda/token_exchange.cuh"
#include "backends/cuda/token_operand.cuh"

namespace quamba2::cuda {

enum class ScanRole : uint8_t { kX, kB, kC, kGate, kStep, kNothing };

// What of all scan phases is this thread's: the same in every layer.
struct ScanPlace {
  bool works, first_of_group;  // of the block
  int32_t head, channels, first, first_in_head;
  ScanRole role;
  int32_t source, channel;  // source: among in_proj's results; channel: of the conv, or of z
  int64_t history, state;   // bytes from a layer's
  int32_t pair, row, rows;  // of the state: the first channel, row, and rows a pass

  __device__ __forceinline__ ScanPlace(const TokenProgram& p, int64_t slot) {
    const ScanShape& s = p.scan;
    const auto block = static_cast<int32_t>(blockIdx.x), t = static_cast<int32_t>(threadIdx.x);
    works = p.layer_count > 0 && block < s.heads * s.parts;
    first_of_group = false, role = ScanRole::kNothing;
    if (!works) return;
    head = block / s.parts;
    const int32_t each = s.heads / s.groups, group = head / each;
    channels = s.width / s.parts;
    first_in_head = block % s.parts * channels;
    first = head * s.width + first_in_head;
    first_of_group = block % (each * s.parts) == 0;
    const int32_t b = channels, c = b + s.states, z = c + s.states;
    source = 0, channel = 0;
    if (t < b) {
      role = ScanRole::kX, source = s.x + first + t, channel = s.conv_x + first + t;
    } else if (t < c) {
      role = ScanRole::kB, source = s.b + group * s.states + t - b, channel = s.conv_b + group * s.states + t - b;
    } else if (t < z) {
      role = ScanRole::kC, source = s.c + group * s.states + t - c, channel = s.conv_c + group * s.states + t - c;
    } else if (t < z + channels) {
      role = ScanRole::kGate, source = s.z + first + t - z, channel = first + t - z;
    } else if (t >= kTokenThreads - 32) {
      role = ScanRole::kStep, source = s.dt + head;
    }
    history = (slot * (kTaps - 1) * s.history_stride + channel) * (s.history_is_codes ? 1 : 4);
    const int32_t lanes = channels / 2;
    pair = t % lanes * 2, row = t / lanes, rows = kTokenThreads / lanes;
    state = (slot * s.slot_stride + head * s.head_stride + row * s.row_stride + first_in_head + pair) *
            (s.state_is_half ? 2 : 4);
  }
  __device__ __forceinline__ bool convolves() const { return role <= ScanRole::kC; }
};

// The input's last numbers of a channel, as they are stored.
struct ConvHistory {
  float v[kTaps - 1];
  __device__ __forceinline__ void load(const ScanShape& s, const char* at) {
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k)
      v[k] = s.history_is_codes ? static_cast<float>(reinterpret_cast<const int8_t*>(at)[k * s.history_stride])
                                : reinterpret_cast<const float*>(at)[k * s.history_stride];
  }
  __device__ __forceinline__ void store(const ScanShape& s, char* at) const {
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k) {
      if (s.history_is_codes)
        reinterpret_cast<int8_t*>(at)[k * s.history_stride] = static_cast<int8_t>(__float2int_rn(v[k]));
      else
        reinterpret_cast<float*>(at)[k * s.history_stride] = v[k];
    }
  }
};

// Asks the second-level cache for what a scan phase reads beside what is handed to it.
__device__ __forceinline__ void prefetch_scan(const TokenProgram& p, const LayerTables& layer, const ScanPlace& place) {
  if (place.convolves()) {
    prefetch(layer.conv + place.channel);
    const int32_t step = p.scan.history_stride * (p.scan.history_is_codes ? 1 : 4);
#pragma unroll
    for (int k = 0; k < kTaps - 1; ++k) prefetch(layer.history + place.history + k * step);
  }
  const int64_t step = place.rows * p.scan.row_stride * (p.scan.state_is_half ? 2 : 4);
  if (place.pair == 0) {
    for (int i = 0; place.row + i * place.rows < p.scan.states; ++i) prefetch(layer.state + place.state + i * step);
  }
}

// A number after the conv, as the scan reads it.
__device__ __forceinline__ float convolve(const ScanShape& s, const ConvColumn& w, const ConvHistory& h, float now) {
  float y = w.bias;
#pragma unroll
  for (int k = 0; k < kTaps; ++k) y += w.weight[k] * ((k == kTaps - 1 ? now : h.v[k < kTaps - 1 ? k : 0]) * w.in_scale);
  if (s.silu) y = silu(y);
  if (w.out_inverse < 0.0f) return y;
  return fminf(fmaxf(rintf(y * w.out_inverse), -128.0f), 127.0f) * w.out_scale;
}

// Two channels of up to kMostPasses rows of a state of f16 or f32, as it is stored.
template <class Pair>
struct StatePairs {
  Pair v[kMostPasses];
  __device__ __forceinline__ static float2 get(__half2 h) { return __half22float2(h); }
  __device__ __forceinline__ static float2 get(float2 f) { return f; }
  __device__ __forceinline__ static void set(__half2* to, float2 f) { *to = __floats2half2_rn(f.x, f.y); }
  __device__ __forceinline__ static void set(float2* to, float2 f) { *to = f; }

  __device__ __forceinline__ void load(const char* at, int64_t step, int32_t passes) {
#pragma unroll
    for (int i = 0; i < kMostPasses; ++i) {
      v[i] = Pair{};
      if (i < passes) v[i] = *reinterpret_cast<const Pair*>(at + i * step);
    }
  }
  // The state after the step; adds to y.
  __device__ __forceinline__ void step(float decay, float2 input, const float* b, const float* c, int32_t rows,
                                       int32_t passes, float2* y) {
#pragma unroll
    for (int i = 0; i < kMostPasses; ++i) {
      if (i >= passes) break;
      const float b_row = b[i * rows], c_row = c[i * rows];
      float2 s = get(v[i]);
      s = {fmaf(decay, s.x, b_row * input.x), fmaf(decay, s.y, b_row * input.y)};
      y->x = fmaf(c_row, s.x, y->x), y->y = fmaf(c_row, s.y, y->y);
      set(&v[i], s);
    }
  }
  __device__ __forceinline__ void store(char* at, int64_t step, int32_t passes) const {
#pragma unroll
    for (int i = 0; i < kMostPasses; ++i) {
      if (i < passes) *reinterpret_cast<Pair*>(at + i * step) = v[i];
    }
  }
};

// Channels 2 lane and 2 lane + 1 of the block's part, by its first warp: gated; the sum of their squares; weighed; their
// Sylvester transform.
__device__ __forceinline__ void hand_on_channels(const TokenProgram& p, const ScanPlace& place, Turn turn, float2 y,
                                                 float2 weight) {
  const auto lane = static_cast<int32_t>(threadIdx.x);
  uint32_t* const to = p.scan_results + turn.place * p.scan_words;
  if (p.turn.has_norm) {
    const float sum = warp_sum(y.x * y.x + y.y * y.y);
    if (lane == 0) hand_on(to + p.scan.heads * p.scan.width + blockIdx.x, sum, turn.mark);
  }
  y = {y.x * weight.x, y.y * weight.y};
  if (p.turn.rotates) {
    y = {y.x + y.y, y.x - y.y};
#pragma unroll 1
    for (int32_t d = 1; d < place.channels / 2; d *= 2) {
      const float mine = lane & d ? -1.0f : 1.0f;
      const float a = __shfl_xor_sync(kAllLanes, y.x, d), b = __shfl_xor_sync(kAllLanes, y.y, d);
      y = {fmaf(mine, y.x, a), fmaf(mine, y.y, b)};
    }
  }
  if (2 * lane < place.channels) hand_on(to + place.first + 2 * lane, y.x, y.y, turn.mark);
}

struct ScanShared {
  float *numbers, *step, *sums;  // x, B, C and gates; delta and decay; [warp][channel]
};

// `turn`: of the layer. What is left of the history is in `late`.
template <class Pair>
__device__ __forceinline__ void run_scan(const TokenProgram& p, const LayerTables& layer, const ScanPlace& place,
                                         Turn turn, const ScanShared& shared, ConvHistory* late) {
  const auto t = static_cast<int32_t>(threadIdx.x), lane = t % 32;
  const uint32_t* from = p.in_results + turn.place * p.in_words + place.source;
  const uint32_t first = poll_one(from);
  StatePairs<Pair> state;
  char* const at = layer.state + place.state;
  const int64_t step = place.rows * p.scan.row_stride * static_cast<int64_t>(sizeof(Pair));
  const int32_t passes = place.row < p.scan.states ? (p.scan.states - place.row + place.rows - 1) / place.rows : 0;
  state.load(at, step, passes);
  if (place.convolves()) {
    const ConvColumn w = layer.conv[place.channel];
    ConvHistory h;
    char* const history = layer.history + place.history;
    h.load(p.scan, history);
    const float now = take_one(from, first, turn.mark);
    shared.numbers[t] = convolve(p.scan, w, h, now);
    h.v[0] = h.v[1], h.v[1] = h.v[2], h.v[2] = now;
    if (place.role == ScanRole::kX) h.store(p.scan, history);
    *late = h;
  } else if (place.role == ScanRole::kGate) {
    const float scale = layer.channels[place.channel].z_scale;
    shared.numbers[t] = silu(take_one(from, first, turn.mark) * scale);
  } else if (place.role == ScanRole::kStep) {
    const ScanHead head = layer.heads[place.head];
    const float dt = take_one(from, first, turn.mark) * head.dt_scale + head.dt_bias;
    const float delta = fminf(fmaxf(softplus(dt), p.scan.dt_min), p.scan.dt_max);
    shared.step[0] = delta, shared.step[1] = expf(delta * head.a);
  }
  const bool ends = t < 32 && 2 * lane < place.channels;
  ScanChannel channel[2] = {};
  if (ends) channel[0] = layer.channels[place.first + 2 * lane], channel[1] = layer.channels[place.first + 2 * lane + 1];
  __syncthreads();

  const float delta = shared.step[0], decay = shared.step[1];
  const float2 x = *reinterpret_cast<const float2*>(shared.numbers + place.pair);
  const float* b = shared.numbers + place.channels + place.row;
  float2 y = {0, 0};
  state.step(decay, {delta * x.x, delta * x.y}, b, b + p.scan.states, place.rows, passes, &y);
#pragma unroll 1
  for (int32_t d = place.channels / 2; d < 32; d *= 2) {
    y.x += __shfl_xor_sync(kAllLanes, y.x, d), y.y += __shfl_xor_sync(kAllLanes, y.y, d);
  }
  if (2 * lane < place.channels) *reinterpret_cast<float2*>(shared.sums + t / 32 * place.channels + 2 * lane) = y;
  __syncthreads();
  if (t < 32) {
    float2 sum = {0, 0};
    if (ends) {
      const float2 input = *reinterpret_cast<const float2*>(shared.numbers + 2 * lane);
      const float2 gate = *reinterpret_cast<const float2*>(shared.numbers + place.channels + 2 * p.scan.states + 2 * lane);
      sum = {channel[0].skip * input.x, channel[1].skip * input.y};
#pragma unroll
      for (int w = 0; w < kTokenWarps; ++w) {
        const float2 of_warp = *reinterpret_cast<const float2*>(shared.sums + w * place.channels + 2 * lane);
        sum = {sum.x + of_warp.x, sum.y + of_warp.y};
      }
      sum = {sum.x * gate.x, sum.y * gate.y};
    }
    hand_on_channels(p, place, turn, sum, {channel[0].weight, channel[1].weight});
  }
  state.store(at, step, passes);
}

// The history of a group's B and C, which its first block has kept. All of the phase's numbers have been taken.
__device__ __forceinline__ void store_late(const TokenProgram& p, const LayerTables& layer, const ScanPlace& place,
                                           const ConvHistory& late) {
  if (place.first_of_group && (place.role == ScanRole::kB || place.role == ScanRole::kC))
    late.store(p.scan, layer.history + place.history);
}

}  // namespace quamba2::cuda
