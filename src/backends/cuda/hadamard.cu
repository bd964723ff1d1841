// SPDX-License-Identifier: Apache-2.0
// hadamard: a block a row; levels of the butterfly three at a time in shared memory, then the core.
#include "backends/cuda/device/rotated_row.cuh"
#include "backends/cuda/hadamard_rows.h"

namespace quamba2 {
namespace cuda {
namespace {

// The second row of shared memory is for outputs with a scale a row.
template <int kWidth>
__global__ void hadamard_kernel(const __grid_constant__ Numbers x, const __grid_constant__ Numbers out,
                                const __grid_constant__ HadamardShape h) {
  extern __shared__ float4 shared_row[];
  __shared__ float reduce[33];
  float* values = reinterpret_cast<float*>(shared_row);
  const int64_t row = blockIdx.x;
  let_next_start();
  wait_for_previous();
  for (int32_t i = static_cast<int32_t>(threadIdx.x) * kWidth; i < h.width;
       i += static_cast<int32_t>(blockDim.x) * kWidth) {
    set_shared_vector(values, i, load_vector<kWidth>(x, row, i));
  }
  rotate_and_write<kWidth>(out, row, values, reduce, h);
}

Verdict supports_hadamard(const HadamardArgs& a) {
  const int32_t width = a.x.values.dim[1];
  if (!has_hadamard(width)) return {"needs a width of m * 2^k, m one of 1, 12, 20, 28"};
  if (const char* reason = refuse_numbers(a.x)) return {reason};
  if (const char* reason = refuse_numbers(a.out)) return {reason};
  return {width > kLongestRow / 2 ? "needs rows of at most 25600" : nullptr};
}

void run_hadamard(const HadamardArgs& a, const Stream& stream) {
  const int32_t width = a.x.values.dim[1];
  const bool fours = in_fours(a.x) && in_fours(a.out);
  LaunchShape shape = row_shape(a.x.values.dim[0], width, fours ? 4 : 1);
  shape.shared_bytes *= 2;
  launch(fours ? hadamard_kernel<4> : hadamard_kernel<1>, shape, stream, numbers_of(a.x), numbers_of(a.out),
         hadamard_shape(width, a.transposed));
}

constexpr Kernel<HadamardArgs> kHadamard[] = {{"hadamard", supports_hadamard, run_hadamard}};

}  // namespace
}  // namespace cuda

KernelRows<HadamardArgs> cuda_hadamard_rows() { return {cuda::kHadamard, 1}; }

}  // namespace quamba2
