// SPDX-License-Identifier: Apache-2.0
// The ceiling of a kernel that moves bytes: a copy, 16 bytes a thread and four on their way. (The driver's own copy from
// device to device is slower than that.)
#include "cuda_kernels/bench.h"

namespace quamba2::cuda_bench {
namespace {

__global__ void __launch_bounds__(256) copy(const uint4* from, uint4* to, int64_t count) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x) * 4 + threadIdx.x;
  uint4 v[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (first + i * 256 < count) v[i] = __ldcs(from + first + i * 256);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (first + i * 256 < count) __stcs(to + first + i * 256, v[i]);
  }
}

}  // namespace

Ceilings measure_ceilings() {
  const size_t bytes = size_t{1} << 30;
  void *from = zeros(bytes), *to = zeros(bytes);
  check(cudaMemset(from, 0x5a, bytes), "cudaMemset");
  const auto count = static_cast<int64_t>(bytes / 16);
  const double us = microseconds(
      [&](const Stream& s, int) {
        copy<<<static_cast<unsigned>(count / 1024), 256, 0, static_cast<cudaStream_t>(s.device)>>>(
            static_cast<const uint4*>(from), static_cast<uint4*>(to), count);
      },
      4, 5);
  release_all();
  return {2.0 * static_cast<double>(bytes) / us * 1e6};
}

}  // namespace quamba2::cuda_bench
