// SPDX-License-Identifier: Apache-2.0
// Times kernels of the CUDA table on a GPU: microseconds by events over graphs of launches, on buffers that rotate through
// more memory than the second-level cache holds, beside the bandwidth of a copy measured in the same run.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/kernel.h"

namespace quamba2::cuda_bench {

void check(cudaError_t status, const char* what);

// Device memory that lives until `release_all`; filled with random bytes, or with random numbers of a type.
void* random_bytes(size_t bytes);
void* random_floats(int64_t count, DType type, float scale);
void* random_scales(int64_t count);  // f32, positive
void* uploaded(const void* from, size_t bytes);
void* zeros(size_t bytes);
void release_all();

struct Ceilings {
  double copy_bytes_per_s = 0;  // read plus written, device to device
};
Ceilings measure_ceilings();

// Median microseconds of one launch. `launch(stream, i)` is called with i rising, so that it can rotate buffers.
double microseconds(const std::function<void(const Stream&, int)>& launch, int launches = 40, int repeats = 7);

// How many buffers of so many bytes lie beyond the cache.
int rotations(size_t bytes);

struct Line {
  std::string op, shape;
  int rows = 0;
  double us = 0, bytes = 0, operations = 0;
};
void print_header(const Ceilings& c);
void print_line(const Line& line, const Ceilings& c);

void bench_linear(const Ceilings& c, const std::string& filter);
void bench_scans(const Ceilings& c, const std::string& filter);
void bench_step(const Ceilings& c, const std::string& filter);  // only where it is asked for

}  // namespace quamba2::cuda_bench
