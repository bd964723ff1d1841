// SPDX-License-Identifier: Apache-2.0
// linear_f32: floats by floats, which no tensor core multiplies exactly. Models are calibrated with such weights: they are many
// rows at a time. A few rows are those of linear_any, which reads weights once for eight of them.
#include "backends/cuda/linear_parts.cuh"
#include "backends/cuda/linear_rows.h"
#include "backends/cuda/rounding/product.cuh"

namespace quamba2::cuda {
namespace {

constexpr int32_t kFewRows = 32;

__global__ void __launch_bounds__(kProductThreads)
    linear_f32(const __grid_constant__ ProductOf<float> p, const __grid_constant__ LinearParts out) {
  product_tile<float, Lies::kByRow, Lies::kByRow>(
      p, int64_t{blockIdx.x} * kProductTile<float>, int64_t{blockIdx.y} * kProductTile<float>,
      [&](int64_t row, int64_t column, float y) {
        store_result(out, static_cast<int32_t>(row), static_cast<int32_t>(column), y);
      });
}

bool is_f32(const Operand& o) {
  return o.format.levels == 0 && o.format.storage == DType::kF32 && o.values.dtype == DType::kF32;
}

Verdict supports(const LinearArgs& args) {
  if (!is_f32(args.x) || !is_f32(args.weight)) return {"needs f32 activations and weights"};
  return kLinearAny.supports(args);
}

void run(const LinearArgs& args, const Stream& stream) {
  const TensorView &x = args.x.values, &w = args.weight.values;
  if (x.dim[0] <= kFewRows) return kLinearAny.run(args, stream);
  const ProductOf<float> p = {
      x.dim[0],    w.dim[0],    w.dim[1], static_cast<const float*>(x.data), static_cast<const float*>(w.data), nullptr,
      x.stride[0], w.stride[0], 0};
  const dim3 grid(product_tiles<float>(p.m), product_tiles<float>(p.n));
  linear_f32<<<grid, kProductThreads, 0, static_cast<cudaStream_t>(stream.device)>>>(p, parts_of(args));
}

}  // namespace

const Kernel<LinearArgs> kLinearF32 = {"linear_f32_cuda", supports, run};

}  // namespace quamba2::cuda
