// SPDX-License-Identifier: Apache-2.0
#include "cuda_kernels/bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/random.h"
#include "tensor/convert.h"

namespace quamba2::cuda_bench {
namespace {

std::vector<void*>& buffers() {
  static std::vector<void*> all;
  return all;
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status));
  std::exit(1);
}

void* uploaded(const void* from, size_t bytes) {
  void* p = nullptr;
  check(cudaMalloc(&p, bytes + 64), "cudaMalloc");
  check(cudaMemcpy(p, from, bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
  buffers().push_back(p);
  return p;
}

void* zeros(size_t bytes) {
  void* p = nullptr;
  check(cudaMalloc(&p, bytes + 64), "cudaMalloc");
  check(cudaMemset(p, 0, bytes + 64), "cudaMemset");
  buffers().push_back(p);
  return p;
}

void* random_bytes(size_t bytes) {
  Random random(bytes);
  std::vector<uint32_t> words(bytes / 4 + 1);
  for (uint32_t& w : words) w = static_cast<uint32_t>(random.below(int64_t{1} << 32));
  return uploaded(words.data(), bytes);
}

void* random_floats(int64_t count, DType type, float scale) {
  Random random(static_cast<uint64_t>(count));
  std::vector<float> wide(static_cast<size_t>(count));
  std::vector<uint16_t> narrow(static_cast<size_t>(count));
  for (size_t i = 0; i < wide.size(); ++i) {
    wide[i] = scale * static_cast<float>(random.normal());
    narrow[i] = type == DType::kBF16 ? f32_to_bf16(wide[i]) : f32_to_f16(wide[i]);
  }
  if (type == DType::kF32) return uploaded(wide.data(), wide.size() * 4);
  return uploaded(narrow.data(), narrow.size() * 2);
}

void* random_scales(int64_t count) {
  Random random(static_cast<uint64_t>(count));
  std::vector<float> scales(static_cast<size_t>(count));
  for (float& s : scales) s = 0.005f + 0.01f * std::abs(static_cast<float>(random.normal()));
  return uploaded(scales.data(), scales.size() * 4);
}

void release_all() {
  for (void* p : buffers()) check(cudaFree(p), "cudaFree");
  buffers().clear();
}

double microseconds(const std::function<void(const Stream&, int)>& launch, int launches, int repeats) {
  cudaStream_t queue;
  check(cudaStreamCreate(&queue), "cudaStreamCreate");
  Stream stream;
  stream.device = queue;
  launch(stream, 0);
  check(cudaGetLastError(), "launch");
  check(cudaStreamSynchronize(queue), "first launch");
  check(cudaStreamBeginCapture(queue, cudaStreamCaptureModeGlobal), "capture");
  for (int i = 0; i < launches; ++i) launch(stream, i);
  cudaGraph_t graph;
  check(cudaStreamEndCapture(queue, &graph), "end of capture");
  cudaGraphExec_t runnable;
  check(cudaGraphInstantiate(&runnable, graph, 0), "cudaGraphInstantiate");
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<double> times;
  float warm_ms = 0;
  for (int i = 0; static_cast<int>(times.size()) < repeats; ++i) {
    check(cudaEventRecord(begin, queue), "record");
    check(cudaGraphLaunch(runnable, queue), "cudaGraphLaunch");
    check(cudaEventRecord(end, queue), "record");
    check(cudaStreamSynchronize(queue), "graph");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "elapsed");
    warm_ms += ms;  // clocks rise while the first milliseconds run
    if (i >= 2 && warm_ms > 40) times.push_back(1000.0 * ms / launches);
  }
  cudaGraphExecDestroy(runnable);
  cudaGraphDestroy(graph);
  cudaEventDestroy(begin), cudaEventDestroy(end);
  cudaStreamDestroy(queue);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int rotations(size_t bytes) { return static_cast<int>(std::min<size_t>(40, (size_t{192} << 20) / (bytes + 1) + 2)); }

void print_header(const Ceilings& c) {
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
  std::printf("%s, %d multiprocessors, copy %.2f TB/s\n", device.name, device.multiProcessorCount,
              c.copy_bytes_per_s / 1e12);
  std::printf("%-22s %-22s %6s %10s %10s %7s %9s\n", "op", "shape", "rows", "us", "GB/s", "of copy", "TOP/s");
}

void print_line(const Line& l, const Ceilings& c) {
  const double rate = l.bytes / l.us * 1e6;
  std::printf("%-22s %-22s %6d %10.2f %10.0f %6.1f%% %9.1f\n", l.op.c_str(), l.shape.c_str(), l.rows, l.us, rate / 1e9,
              100 * rate / c.copy_bytes_per_s, l.operations / l.us / 1e6);
  std::fflush(stdout);
}

}  // namespace quamba2::cuda_bench

int main(int argc, char** argv) {
  using namespace quamba2::cuda_bench;
  const std::string filter = argc > 1 ? argv[1] : "";
  const Ceilings ceilings = measure_ceilings();
  print_header(ceilings);
  bench_linear(ceilings, filter);
  bench_scans(ceilings, filter);
  bench_step(ceilings, filter);
  return 0;
}
