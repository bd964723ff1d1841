// SPDX-License-Identifier: Apache-2.0
// Launching kernels so that one starts while the one before it ends (ptx.cuh: wait_for_previous).
#pragma once

#include <cuda_runtime.h>

#include "backend/kernel.h"
#include "backends/cuda/device/ptx.cuh"

namespace quamba2::cuda {

// 10 * major + minor of the current device, asked once; 0 where there is none.
inline int compute_capability() {
  static const int value = [] {
    int device = 0, major = 0, minor = 0;
    if (cudaGetDevice(&device) != cudaSuccess) return 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess) return 0;
    if (cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess) return 0;
    return 10 * major + minor;
  }();
  return value;
}

inline int multiprocessors() {
  static const int value = [] {
    int device = 0, count = 0;
    if (cudaGetDevice(&device) != cudaSuccess) return 1;
    if (cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) return 1;
    return count;
  }();
  return value;
}

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;
  unsigned cluster = 1;  // neighbours along z that see each other's shared memory (sm_90)
  unsigned across = 1;   // the same along x
};

// The kernel must call wait_for_previous() in every thread before it reads or writes what other kernels write or read.
template <class... Parameters, class... Values>
void launch(void (*kernel)(Parameters...), LaunchShape shape, const Stream& stream, const Values&... values) {
  cudaLaunchAttribute attributes[2];
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = shape.across, attributes[1].val.clusterDim.y = 1;
  attributes[1].val.clusterDim.z = shape.cluster;
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream.device);
  config.attrs = attributes;
  config.numAttrs = compute_capability() < 90 ? 0 : shape.cluster * shape.across > 1 ? 2 : 1;
  if (shape.shared_bytes > 48 * 1024) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared_bytes));
  }
  cudaLaunchKernelEx(&config, kernel, Parameters(values)...);  // a failed launch is found by cudaGetLastError
}

}  // namespace quamba2::cuda
