// SPDX-License-Identifier: Apache-2.0
// The state of a scan as it is stored, [S, N, E] or [S, H, N, P]: f32, f16, bf16 or codes of 8 bits, with static scales or
// dynamic ones a channel and 32 of N (docs/numerics.md, "States of 8 bits").
#pragma once

#include "backends/cuda/device/numbers.cuh"

namespace quamba2::cuda {

enum class StateKind : uint8_t { kFloat, kStatic, kDynamic };

struct ScanState {
  void* data;
  float* scales;
  int64_t slot_stride, head_stride, row_stride;  // elements
  int64_t scale_slot_stride, scale_head_stride,
      scale_step;  // step: from a row's scales to the next; dynamic: a block's
  DType dtype;
  StateKind kind;
  bool one_scale;
};

inline ScanState scan_state(const Operand& o) {
  const TensorView &v = o.values, &s = o.scales[0];
  ScanState out = {};
  out.data = v.data, out.scales = static_cast<float*>(s.data), out.dtype = v.dtype;
  out.slot_stride = v.stride[0], out.head_stride = v.rank == 4 ? v.stride[1] : 0, out.row_stride = v.stride[v.rank - 2];
  if (o.format.levels == 0) return out;
  out.kind = o.format.dynamic ? StateKind::kDynamic : StateKind::kStatic;
  out.one_scale = o.format.level[0].grain == Grain::kTensor;
  if (o.format.dynamic) {
    out.scale_slot_stride = s.stride[0];
    out.scale_head_stride = s.rank == 4 ? s.stride[1] : 0;
    out.scale_step = s.stride[s.rank - 2];
  } else if (!out.one_scale) {
    if (v.rank == 4 && s.rank > 1) out.scale_head_stride = s.stride[0];
    if (s.rank == v.rank - 1) out.scale_step = s.stride[s.rank - 2];
  }
  return out;
}

inline const char* refuse_state(const Operand& o) {
  const Format& f = o.format;
  if (o.values.stride[o.values.rank - 1] != 1) return "needs contiguous channels";
  if (f.levels == 0)
    return is_float(f.storage) && f.storage != DType::kF64 ? nullptr : "needs f32, f16, bf16 or i8 states";
  if (f.storage != DType::kI8 || f.levels != 1 || f.level[0].dtype != DType::kF32)
    return "needs i8 states with f32 scales";
  if (f.dynamic) return is_dynamic_state(f) ? nullptr : "needs dynamic scales a channel";
  const bool known = f.level[0].grain == Grain::kTensor || f.level[0].grain == Grain::kColumn;
  return known ? nullptr : "needs scales a tensor or column";
}

// A head of a slot (of [S, N, E]: head 0).
struct HeadState {
  char* data;
  float* scales;
  int64_t row_stride, scale_step;
  DType dtype;
  StateKind kind;
  bool one_scale;

  __device__ __forceinline__ HeadState(const ScanState& s, int64_t slot, int64_t head)
      : data(static_cast<char*>(s.data) + (slot * s.slot_stride + head * s.head_stride) * (s.dtype == DType::kF32 ? 4
                                                                                           : s.dtype == DType::kI8
                                                                                               ? 1
                                                                                               : 2)),
        scales(s.scales + slot * s.scale_slot_stride + head * s.scale_head_stride),
        row_stride(s.row_stride),
        scale_step(s.scale_step),
        dtype(s.dtype),
        kind(s.kind),
        one_scale(s.one_scale) {}

  __device__ __forceinline__ float scale(int64_t n, int64_t p) const {
    if (one_scale) return *scales;
    return scales[(kind == StateKind::kDynamic ? n / kStateBlock : n) * scale_step + p];
  }
  __device__ __forceinline__ float decode(int64_t n, int64_t p) const {
    const int64_t i = n * row_stride + p;
    if (kind == StateKind::kFloat) return load_float(data, dtype, i);
    return static_cast<float>(reinterpret_cast<const int8_t*>(data)[i]) * scale(n, p);
  }
  // Not for dynamic scales.
  __device__ __forceinline__ void encode(int64_t n, int64_t p, float v) const {
    const int64_t i = n * row_stride + p;
    if (kind == StateKind::kStatic) {
      reinterpret_cast<int8_t*>(data)[i] = encode_i8(v, scale(n, p));
    } else if (dtype == DType::kF16) {
      reinterpret_cast<__half*>(data)[i] = __float2half_rn(v);
    } else if (dtype == DType::kBF16) {
      reinterpret_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(v);
    } else {
      reinterpret_cast<float*>(data)[i] = v;
    }
  }
};

// Channel p of a head whose scales are dynamic, block after block of N: value(n) is asked for twice. Each number takes over
// what rounding has left of the one before it.
template <class Value>
__device__ __forceinline__ void encode_channel(const HeadState& state, int64_t states, int64_t p, const Value& value) {
  float before = 0, carry = 0;
  for (int64_t first = 0; first < states; first += kStateBlock) {
    const int64_t end = min(first + kStateBlock, states);
    float largest = 0;
    for (int64_t n = first; n < end; ++n) largest = fmaxf(largest, fabsf(value(n)));
    const float scale = __fdiv_rn(largest, 127.0f);
    const CodeFactor factor = code_factor(scale);
    carry = fminf(fmaxf(carry * fminf(factor.steps(before), 0x1p+100f), -0.5f), 0.5f);
    state.scales[first / kStateBlock * state.scale_step + p] = scale;
    for (int64_t n = first; n < end; ++n) {
      const float goal = factor.steps(value(n)) + carry, code = fminf(rintf(goal), 127.0f);
      carry = goal - code;
      reinterpret_cast<int8_t*>(state.data)[n * state.row_stride + p] =
          static_cast<int8_t>(__float2int_rn(fmaxf(code, -128.0f)));
    }
    before = scale;
  }
}

// What most scans read, so that their loads need no questions: f32 everywhere, or codes with an f32 scale a column.
enum class ScanInputs : uint8_t { kAny, kFloats, kCodes };

inline ScanInputs inputs_of(const Numbers& x, const Numbers& dt, const Numbers& b, const Numbers& c) {
  const auto all = [&](const auto& is) { return is(x) && is(dt) && is(b) && is(c); };
  if (all([](const Numbers& n) { return n.dtype == DType::kF32; })) return ScanInputs::kFloats;
  const auto codes = [](const Numbers& n) {
    return n.dtype == DType::kI8 && n.by == ScaleBy::kColumn && n.scale_dtype == DType::kF32;
  };
  return all(codes) ? ScanInputs::kCodes : ScanInputs::kAny;
}
template <ScanInputs kInputs>
__device__ __forceinline__ float input_number(const Numbers& x, int64_t row, int64_t column) {
  const int64_t i = row * x.stride + column;
  if constexpr (kInputs == ScanInputs::kFloats) return static_cast<const float*>(x.data)[i];
  if constexpr (kInputs == ScanInputs::kCodes) {
    return static_cast<float>(static_cast<const int8_t*>(x.data)[i]) * static_cast<const float*>(x.scales)[column];
  }
  return load_number(x, row, column);
}

// softplus is the identity above 20.
__device__ __forceinline__ float softplus(float v) { return v > 20.0f ? v : log1pf(expf(v)); }

}  // namespace quamba2::cuda
