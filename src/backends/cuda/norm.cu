// SPDX-License-Identifier: Apache-2.0
// rms_norm, layer_norm and gated_rms_norm: a block a row, which stays in shared memory between the sums and the output.
#include "backends/cuda/device/rotated_row.cuh"
#include "backends/cuda/gated_rotation.cuh"
#include "backends/cuda/norm_rows.h"

namespace quamba2 {
namespace cuda {
namespace {

struct NormParameters {
  Numbers x, z, out;
  const float* addend;  // f32, or null
  float* sum;
  int32_t addend_stride, sum_stride;
  const float *weight, *bias;
  int32_t width;   // of a group
  int32_t groups;  // that one block does, one after another
  float eps;
  bool norm_before_gate;
};

template <int kWidth>
__device__ __forceinline__ float sum_of_squares(const float* values, int32_t width, float mean, float* reduce) {
  const int32_t step = static_cast<int32_t>(blockDim.x) * kWidth;
  float sum = 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x) * kWidth; i < width; i += step) {
    const Vector<kWidth> a = shared_vector<kWidth>(values, i);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += (a.v[k] - mean) * (a.v[k] - mean);
  }
  return block_sum(sum, reduce);
}

template <int kWidth>
__global__ void rms_norm_kernel(const __grid_constant__ NormParameters p) {
  extern __shared__ float4 shared_row[];
  __shared__ float reduce[33];
  float* values = reinterpret_cast<float*>(shared_row);
  const int64_t row = blockIdx.x;
  const int32_t step = static_cast<int32_t>(blockDim.x) * kWidth;
  let_next_start();
  wait_for_previous();
  float sum = 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x) * kWidth; i < p.width; i += step) {
    Vector<kWidth> a = load_vector<kWidth>(p.x, row, i);
    if (p.addend != nullptr) {
      const Vector<kWidth> b = load_parameters<kWidth>(p.addend + row * p.addend_stride, i, 0.0f);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) a.v[k] += b.v[k];
      set_shared_vector(p.sum + row * p.sum_stride, i, a);
    }
    set_shared_vector(values, i, a);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += a.v[k] * a.v[k];
  }
  const float r = 1.0f / sqrtf(block_sum(sum, reduce) / static_cast<float>(p.width) + p.eps);
  write_row<kWidth>(p.out, row, p.width, values, reduce, [&](int32_t i) {
    Vector<kWidth> a = shared_vector<kWidth>(values, i);
    const Vector<kWidth> w = load_parameters<kWidth>(p.weight, i, 1.0f);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) a.v[k] *= r * w.v[k];
    return a;
  });
}

template <int kWidth>
__global__ void layer_norm_kernel(const __grid_constant__ NormParameters p) {
  extern __shared__ float4 shared_row[];
  __shared__ float reduce[33];
  float* values = reinterpret_cast<float*>(shared_row);
  const int64_t row = blockIdx.x;
  const int32_t step = static_cast<int32_t>(blockDim.x) * kWidth;
  let_next_start();
  wait_for_previous();
  float sum = 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x) * kWidth; i < p.width; i += step) {
    const Vector<kWidth> a = load_vector<kWidth>(p.x, row, i);
    set_shared_vector(values, i, a);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += a.v[k];
  }
  const float mean = block_sum(sum, reduce) / static_cast<float>(p.width);
  const float variance = sum_of_squares<kWidth>(values, p.width, mean, reduce) / static_cast<float>(p.width);
  const float r = 1.0f / sqrtf(variance + p.eps);
  write_row<kWidth>(p.out, row, p.width, values, reduce, [&](int32_t i) {
    Vector<kWidth> a = shared_vector<kWidth>(values, i);
    const Vector<kWidth> w = load_parameters<kWidth>(p.weight, i, 1.0f);
    const Vector<kWidth> b = load_parameters<kWidth>(p.bias, i, 0.0f);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) a.v[k] = (a.v[k] - mean) * r * w.v[k] + b.v[k];
    return a;
  });
}

// Blocks [row, part]: a part has p.groups groups of p.width channels.
template <int kWidth>
__global__ void gated_rms_norm_kernel(const __grid_constant__ NormParameters p,
                                      const __grid_constant__ HadamardShape h) {
  extern __shared__ float4 shared_row[];
  __shared__ float reduce[33];
  float* all = reinterpret_cast<float*>(shared_row);
  const int64_t row = blockIdx.x;
  const int32_t begin = static_cast<int32_t>(blockIdx.y) * p.groups * p.width;
  const int32_t first = static_cast<int32_t>(threadIdx.x) * kWidth;
  const int32_t step = static_cast<int32_t>(blockDim.x) * kWidth;
  let_next_start();
  wait_for_previous();
  for (int32_t g = 0; g < p.groups; ++g) {
    float* values = all + g * p.width;
    const int32_t column = begin + g * p.width;
    float sum = 0;
    for (int32_t i = first; i < p.width; i += step) {
      Vector<kWidth> a = load_vector<kWidth>(p.x, row, column + i);
      if (!p.norm_before_gate) {
        const Vector<kWidth> z = load_vector<kWidth>(p.z, row, column + i);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) a.v[k] *= silu(z.v[k]);
      }
#pragma unroll
      for (int k = 0; k < kWidth; ++k) sum += a.v[k] * a.v[k];
      set_shared_vector(values, i, a);
    }
    const float r = 1.0f / sqrtf(block_sum(sum, reduce) / static_cast<float>(p.width) + p.eps);
    for (int32_t i = first; i < p.width; i += step) {
      Vector<kWidth> a = shared_vector<kWidth>(values, i);
      const Vector<kWidth> w = load_parameters<kWidth>(p.weight, column + i, 1.0f);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) a.v[k] *= r * w.v[k];
      if (p.norm_before_gate) {
        const Vector<kWidth> z = load_vector<kWidth>(p.z, row, column + i);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) a.v[k] *= silu(z.v[k]);
      }
      set_shared_vector(values, i, a);
    }
  }
  // Threads take other numbers than before where groups are shorter than the block's step.
  __syncthreads();
  if (h.width > 0) {
    rotate_and_write<kWidth>(p.out, row, all, reduce, h);
    return;
  }
  if (p.out.by == ScaleBy::kRow) {
    write_row<kWidth>(p.out, row, p.groups * p.width, all, reduce,
                      [&](int32_t i) { return shared_vector<kWidth>(all, i); });
    return;
  }
  for (int32_t i = first; i < p.groups * p.width; i += step) {
    store_vector(p.out, row, begin + i, shared_vector<kWidth>(all, i));
  }
}

const float* data_of(const TensorView& v) { return static_cast<const float*>(v.data); }

const char* refuse_parameters(const TensorView& v) {
  return v.data == nullptr || v.dtype == DType::kF32 ? nullptr : "needs f32 parameters";
}

Verdict supports(std::initializer_list<const Operand*> rows, std::initializer_list<const TensorView*> parameters) {
  for (const Operand* x : rows) {
    if (const char* reason = refuse_numbers(*x)) return {reason};
    if (x->values.dim[1] > kLongestRow) return {kRowTooLong};
  }
  for (const TensorView* v : parameters) {
    if (const char* reason = refuse_parameters(*v)) return {reason};
  }
  return {};
}

template <class Args>
void run_norm(const Args& args, const TensorView& bias, void (*by_four)(NormParameters), void (*by_one)(NormParameters),
              const Stream& stream) {
  NormParameters p = {};
  p.x = numbers_of(args.x);
  p.out = numbers_of(args.out);
  p.weight = data_of(args.weight), p.bias = data_of(bias);
  p.width = args.x.values.dim[1];
  p.eps = static_cast<float>(args.eps);
  bool fours = in_fours(args.x) && in_fours(args.out) && in_fours(args.weight) && in_fours(bias);
  if constexpr (requires { args.addend; }) {
    if (args.addend.values.rank > 0) {
      p.addend = data_of(args.addend.values), p.addend_stride = args.addend.values.stride[0];
      p.sum = static_cast<float*>(args.sum.values.data), p.sum_stride = args.sum.values.stride[0];
      fours = fours && in_fours(args.addend) && in_fours(args.sum);
    }
  }
  launch(fours ? by_four : by_one, row_shape(args.x.values.dim[0], p.width, fours ? 4 : 1), stream, p);
}

Verdict supports_rms_norm(const RmsNormArgs& a) {
  if (a.addend.values.rank > 0) {
    for (const Operand* o : {&a.x, &a.addend, &a.sum}) {
      if (o->format.storage != DType::kF32) return {"needs f32 numbers to add"};
    }
  }
  return supports({&a.x, &a.out}, {&a.weight});
}
void run_rms_norm(const RmsNormArgs& a, const Stream& stream) {
  run_norm(a, {}, rms_norm_kernel<4>, rms_norm_kernel<1>, stream);
}

Verdict supports_layer_norm(const LayerNormArgs& a) { return supports({&a.x, &a.out}, {&a.weight, &a.bias}); }
void run_layer_norm(const LayerNormArgs& a, const Stream& stream) {
  run_norm(a, a.bias, layer_norm_kernel<4>, layer_norm_kernel<1>, stream);
}

Verdict supports_gated(const GatedRmsNormArgs& a) {
  if (const char* reason = refuse_rotation(a.rotation, a.y.values.dim[1])) return {reason};
  return supports({&a.y, &a.z, &a.out}, {&a.weight});
}
void run_gated(const GatedRmsNormArgs& a, const Stream& stream) {
  NormParameters p = {};
  p.x = numbers_of(a.y), p.z = numbers_of(a.z), p.out = numbers_of(a.out);
  p.weight = data_of(a.weight);
  p.width = a.y.values.dim[1] / a.groups;
  p.eps = static_cast<float>(a.eps);
  p.norm_before_gate = a.norm_before_gate;
  // A scale a row, or a rotation, asks for all groups in one block.
  const bool rotates = a.rotation != Rotation::kNone;
  p.groups = a.out.format.dynamic || rotates ? a.groups : 1;
  const bool fours = p.width % 4 == 0 && in_fours(a.y) && in_fours(a.z) && in_fours(a.out) && in_fours(a.weight);
  const GatedRows whole = {
      p.x, p.z, p.out, p.weight, a.y.values.dim[0], a.y.values.dim[1], p.width, p.eps, p.norm_before_gate};
  if (fours && run_gated_rotation(whole, a.rotation, stream)) return;
  LaunchShape shape = row_shape(a.y.values.dim[0], p.groups * p.width, fours ? 4 : 1);
  shape.grid.y = static_cast<unsigned>(a.groups / p.groups);
  if (rotates) shape.shared_bytes *= 2;
  launch(fours ? gated_rms_norm_kernel<4> : gated_rms_norm_kernel<1>, shape, stream, p,
         rotation_of(a.rotation, a.y.values.dim[1]));
}

constexpr Kernel<RmsNormArgs> kRmsNorm[] = {{"rms_norm", supports_rms_norm, run_rms_norm}};
constexpr Kernel<LayerNormArgs> kLayerNorm[] = {{"layer_norm", supports_layer_norm, run_layer_norm}};
constexpr Kernel<GatedRmsNormArgs> kGated[] = {{"gated_rms_norm", supports_gated, run_gated}};

}  // namespace
}  // namespace cuda

KernelRows<RmsNormArgs> cuda_rms_norm_rows() { return {cuda::kRmsNorm, 1}; }
KernelRows<LayerNormArgs> cuda_layer_norm_rows() { return {cuda::kLayerNorm, 1}; }
KernelRows<GatedRmsNormArgs> cuda_gated_rms_norm_rows() { return {cuda::kGated, 1}; }

}  // namespace quamba2
