// SPDX-License-Identifier: Apache-2.0
// linear_any: every format there is, from canonical weights, a warp an output. It is what is left where no faster row fits:
// small groups, F32 weights, activations with a scale a column.
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/warp.cuh"
#include "backends/cuda/linear_parts.cuh"
#include "backends/cuda/linear_rows.h"

namespace quamba2::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kTokens = 8;  // a warp

struct CanonicalWeight {
  const uint8_t* data;
  const void* scales[2];
  int64_t row_bytes;
  int32_t outputs, inner, group, groups;
  DType dtype, scale_dtype[2];
  Grain grain[2];
  int levels;
};

struct AnyArgs {
  CanonicalWeight w;
  Numbers x;
  LinearParts out;
  int32_t tokens;
};

CanonicalWeight weight_of(const Operand& o) {
  CanonicalWeight w = {};
  const TensorView& v = o.values;
  w.data = static_cast<const uint8_t*>(v.data);
  w.outputs = v.dim[0], w.inner = v.dim[1], w.dtype = v.dtype, w.levels = o.format.levels;
  w.row_bytes =
      v.dtype == DType::kI6 ? (int64_t{v.dim[1]} * 6 + 31) / 32 * 4 : int64_t{v.stride[0]} * bits_of(v.dtype) / 8;
  for (int i = 0; i < w.levels; ++i) {
    w.scales[i] = o.scales[i].data, w.scale_dtype[i] = o.scales[i].dtype, w.grain[i] = o.format.level[i].grain;
  }
  w.group = w.levels > 0 && w.grain[0] == Grain::kGroup ? o.format.level[0].group : 1;
  w.groups = w.levels > 0 && w.grain[0] == Grain::kGroup ? o.scales[0].stride[0] : 0;
  return w;
}

__device__ float weight_scale(const CanonicalWeight& w, int level, int32_t n, int32_t k) {
  const Grain grain = w.grain[level];
  const int64_t i = grain == Grain::kTensor ? 0 : grain == Grain::kRow ? n : int64_t{n} * w.groups + k / w.group;
  return load_float(w.scales[level], w.scale_dtype[level], i);
}

__device__ float weight_number(const CanonicalWeight& w, int32_t n, int32_t k) {
  const uint8_t* row = w.data + n * w.row_bytes;
  float code;
  if (w.dtype == DType::kI4) {
    code = static_cast<float>(((row[k >> 1] >> (k % 2 * 4)) & 15) - 8);
  } else if (w.dtype == DType::kI6) {
    const int64_t bit = int64_t{k} * 6;
    const int shift = static_cast<int>(bit & 7);
    uint32_t bits = row[bit >> 3];
    if (shift > 2) bits |= static_cast<uint32_t>(row[(bit >> 3) + 1]) << 8;
    code = static_cast<float>(static_cast<int>((bits >> shift) & 63u) - 32);
  } else if (w.dtype == DType::kI8) {
    code = static_cast<float>(static_cast<int8_t>(row[k]));
  } else {
    return load_float(row, w.dtype, k);
  }
  const float inner = weight_scale(w, 0, n, k);
  if (w.levels == 1) return code * inner;
  const float outer = weight_scale(w, 1, n, k);  // method.md 2.7: an exact INT8 times the row's scale
  return outer == 0.0f ? 0.0f : rintf(__fdiv_rn(__fmul_rn(code, inner), outer)) * outer;
}

__global__ void __launch_bounds__(kWarps * 32) linear_any(const __grid_constant__ AnyArgs p) {
  wait_for_previous();
  let_next_start();
  const int32_t n = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  const int32_t first = blockIdx.y * kTokens, count = min(kTokens, p.tokens - first);
  if (n >= p.w.outputs) return;
  float sum[kTokens] = {};
  for (int32_t k = lane; k < p.w.inner; k += 32) {
    const float w = weight_number(p.w, n, k);
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      if (t < count) sum[t] = fmaf(load_number(p.x, first + t, k), w, sum[t]);
    }
  }
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    const float y = warp_sum(sum[t]);
    if (t < count && lane == 0) store_result(p.out, first + t, n, y);
  }
}

Verdict supports(const LinearArgs& args) {
  const Operand& w = args.weight;
  if (const char* reason = refuse_linear_operands(args)) return {reason};
  if (w.values.rank != 2 || w.values.stride[1] != 1) return {"needs a weight matrix with contiguous rows"};
  if (args.bias.data != nullptr && args.bias.dtype != DType::kF32) return {"needs an f32 bias"};
  const DType type = w.format.storage;
  if (type == DType::kI4 || type == DType::kI6 || type == DType::kI8) {
    return {w.format.levels == 1 || w.format.levels == 2 ? nullptr : "needs scales"};
  }
  return {is_float(type) && type != DType::kF64 && w.format.levels == 0 ? nullptr : "needs a known weight type"};
}

void run(const LinearArgs& args, const Stream& stream) {
  const AnyArgs p = {weight_of(args.weight), numbers_of(args.x), parts_of(args), args.x.values.dim[0]};
  const dim3 grid((p.w.outputs + kWarps - 1) / kWarps, (p.tokens + kTokens - 1) / kTokens);
  launch(linear_any, {grid, dim3(kWarps * 32)}, stream, p);
}

}  // namespace

const Kernel<LinearArgs> kLinearAny = {"linear_any_cuda", supports, run};

}  // namespace quamba2::cuda
