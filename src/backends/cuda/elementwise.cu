// SPDX-License-Identifier: Apache-2.0
// gate, add and convert: flat over all numbers, or a block a row where the output has a scale a row.
#include "backends/cuda/device/rotated_row.cuh"
#include "backends/cuda/elementwise_rows.h"
#include "backends/cuda/gated_rotation.cuh"

namespace quamba2 {
namespace cuda {
namespace {

enum class Does { kGate, kAdd, kConvert };

struct Pair {
  Numbers a, b, out;
  int32_t rows, width;
};

template <Does kDoes, int kWidth>
__device__ __forceinline__ Vector<kWidth> compute(const Pair& p, int64_t row, int32_t column) {
  Vector<kWidth> a = load_vector<kWidth>(p.a, row, column);
  if constexpr (kDoes != Does::kConvert) {
    const Vector<kWidth> b = load_vector<kWidth>(p.b, row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) a.v[k] = kDoes == Does::kGate ? a.v[k] * silu(b.v[k]) : a.v[k] + b.v[k];
  }
  return a;
}

template <Does kDoes, int kWidth>
__global__ void flat_kernel(const __grid_constant__ Pair p) {
  let_next_start();
  wait_for_previous();
  const int32_t a_row = p.width / kWidth;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t row = i / a_row;
  if (row >= p.rows) return;
  const int32_t column = static_cast<int32_t>(i - row * a_row) * kWidth;
  store_vector(p.out, row, column, compute<kDoes, kWidth>(p, row, column));
}

template <Does kDoes, int kWidth>
__global__ void row_kernel(const __grid_constant__ Pair p) {
  extern __shared__ float4 shared_row[];
  __shared__ float reduce[33];
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  write_row<kWidth>(p.out, row, p.width, reinterpret_cast<float*>(shared_row), reduce,
                    [&](int32_t i) { return compute<kDoes, kWidth>(p, row, i); });
}

template <int kWidth>
__global__ void rotated_gate_kernel(const __grid_constant__ Pair p, const __grid_constant__ HadamardShape h) {
  extern __shared__ float4 shared_row[];
  __shared__ float reduce[33];
  float* values = reinterpret_cast<float*>(shared_row);
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  const int32_t step = static_cast<int32_t>(blockDim.x) * kWidth;
  for (int32_t i = static_cast<int32_t>(threadIdx.x) * kWidth; i < p.width; i += step)
    set_shared_vector(values, i, compute<Does::kGate, kWidth>(p, row, i));
  rotate_and_write<kWidth>(p.out, row, values, reduce, h);
}

template <Does kDoes>
void run_pair(const Operand& a, const Operand& b, const Operand& out, const Stream& stream) {
  const Pair p = {numbers_of(a), numbers_of(b), numbers_of(out), a.values.dim[0], a.values.dim[1]};
  const bool fours = in_fours(a) && in_fours(b) && in_fours(out);
  const int vector = fours ? 4 : 1;
  if (out.format.dynamic) {
    launch(fours ? row_kernel<kDoes, 4> : row_kernel<kDoes, 1>, row_shape(p.rows, p.width, vector), stream, p);
    return;
  }
  const int64_t items = static_cast<int64_t>(p.rows) * (p.width / vector);
  LaunchShape shape;
  shape.block = dim3(items >= 132 * 256 ? 256 : 64);
  shape.grid = dim3(static_cast<unsigned>((items + shape.block.x - 1) / shape.block.x));
  launch(fours ? flat_kernel<kDoes, 4> : flat_kernel<kDoes, 1>, shape, stream, p);
}

Verdict supports(std::initializer_list<const Operand*> operands, const Operand& out) {
  for (const Operand* x : operands) {
    if (const char* reason = refuse_numbers(*x)) return {reason};
  }
  if (const char* reason = refuse_numbers(out)) return {reason};
  return {out.format.dynamic && out.values.dim[1] > kLongestRow ? kRowTooLong : nullptr};
}

Verdict supports_gate(const GateArgs& a) {
  if (const char* reason = refuse_rotation(a.rotation, a.y.values.dim[1])) return {reason};
  return supports({&a.y, &a.z}, a.out);
}
void run_gate(const GateArgs& a, const Stream& stream) {
  if (a.rotation == Rotation::kNone) return run_pair<Does::kGate>(a.y, a.z, a.out, stream);
  const Pair p = {numbers_of(a.y), numbers_of(a.z), numbers_of(a.out), a.y.values.dim[0], a.y.values.dim[1]};
  const bool fours = in_fours(a.y) && in_fours(a.z) && in_fours(a.out);
  const GatedRows whole = {p.a, p.b, p.out, nullptr, p.rows, p.width, 0, 0.0f, false};
  if (fours && run_gated_rotation(whole, a.rotation, stream)) return;
  LaunchShape shape = row_shape(p.rows, p.width, fours ? 4 : 1);
  shape.shared_bytes *= 2;
  launch(fours ? rotated_gate_kernel<4> : rotated_gate_kernel<1>, shape, stream, p, rotation_of(a.rotation, p.width));
}
Verdict supports_add(const AddArgs& a) { return supports({&a.a, &a.b}, a.out); }
void run_add(const AddArgs& a, const Stream& stream) { run_pair<Does::kAdd>(a.a, a.b, a.out, stream); }
Verdict supports_convert(const ConvertArgs& a) { return supports({&a.x}, a.out); }
void run_convert(const ConvertArgs& a, const Stream& stream) { run_pair<Does::kConvert>(a.x, a.x, a.out, stream); }

constexpr Kernel<GateArgs> kGate[] = {{"gate", supports_gate, run_gate}};
constexpr Kernel<AddArgs> kAdd[] = {{"add", supports_add, run_add}};
constexpr Kernel<ConvertArgs> kConvert[] = {{"convert", supports_convert, run_convert}};

}  // namespace
}  // namespace cuda

KernelRows<GateArgs> cuda_gate_rows() { return {cuda::kGate, 1}; }
KernelRows<AddArgs> cuda_add_rows() { return {cuda::kAdd, 1}; }
KernelRows<ConvertArgs> cuda_convert_rows() { return {cuda::kConvert, 1}; }

}  // namespace quamba2
