// SPDX-License-Identifier: Apache-2.0
// hadamard: a block a row; levels of the butterfly three at a time in shared memory, then the core.
#include <cmath>

#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/device/row.cuh"
#include "backends/cuda/hadamard_rows.h"
#include "tensor/hadamard.h"

namespace quamba2 {
namespace cuda {
namespace {

HadamardShape shape_of(int32_t width, bool transposed) {
  HadamardShape h = {};
  h.width = width;
  h.core = hadamard_core_order(width);
  h.run = width / h.core;
  h.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
  const int8_t* core = hadamard_core(h.core);
  for (int i = 0; i < h.core; ++i) {
    for (int l = 0; l < h.core; ++l) {
      const int8_t sign = transposed ? core[l * h.core + i] : core[i * h.core + l];
      if (sign < 0) h.minus[i] |= 1u << l;
    }
  }
  return h;
}

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
  hadamard_runs(values, h);
  write_row<kWidth>(out, row, h.width, values + (h.width + 3) / 4 * 4, reduce, [&](int32_t i) {
    Vector<kWidth> a;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) a.v[k] = hadamard_element(values, h, i + k);
    return a;
  });
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
         shape_of(width, a.transposed));
}

constexpr Kernel<HadamardArgs> kHadamard[] = {{"hadamard", supports_hadamard, run_hadamard}};

}  // namespace
}  // namespace cuda

KernelRows<HadamardArgs> cuda_hadamard_rows() { return {cuda::kHadamard, 1}; }

}  // namespace quamba2
