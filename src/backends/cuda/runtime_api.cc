// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/runtime_api.h"

#include <cuda_runtime_api.h>

namespace quamba2 {
namespace {

cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

class RuntimeApi : public DeviceApi {
 public:
  std::string text_of(Status status) const override {
    if (status == cudaErrorInsufficientDriver) {
      int version = 0;
      cudaDriverGetVersion(&version);
      if (version == 0) return "there is no NVIDIA driver";
      return "the driver is for CUDA " + version_text(version) + ", older than " + version_text(CUDART_VERSION);
    }
    return cudaGetErrorString(static_cast<cudaError_t>(status));
  }

  bool is_lost(Status status) const override {
    switch (static_cast<cudaError_t>(status)) {
      case cudaErrorDevicesUnavailable:
      case cudaErrorECCUncorrectable:
      case cudaErrorHardwareStackError:
      case cudaErrorContained:
      case cudaErrorDeviceUninitialized:
      case cudaErrorSystemNotReady:
      case cudaErrorTimeout:
      case cudaErrorUnknown: return true;
      default: return false;
    }
  }

  Status count(int* devices) override {
    const cudaError_t status = cudaGetDeviceCount(devices);
    cudaGetLastError();
    if (status != cudaErrorNoDevice) return status;
    *devices = 0;
    return cudaSuccess;
  }

  Status describe(int device, DeviceSpec* spec) override {
    cudaDeviceProp p;
    if (const cudaError_t status = cudaGetDeviceProperties(&p, device)) return status;
    spec->name = p.name;
    spec->architecture = 10 * p.major + p.minor;
    spec->multiprocessors = p.multiProcessorCount;
    spec->shared_bytes = static_cast<int32_t>(p.sharedMemPerBlockOptin);
    spec->memory_bytes = p.totalGlobalMem;
    spec->cache_bytes = static_cast<size_t>(p.l2CacheSize);
    return cudaSuccess;
  }

  Status select(int device) override { return cudaSetDevice(device); }
  Status memory(size_t* free, size_t* total) override { return cudaMemGetInfo(free, total); }
  Status allocate(void** memory, size_t bytes) override {
    const cudaError_t status = cudaMalloc(memory, bytes);
    if (status == cudaErrorMemoryAllocation) cudaGetLastError();  // told to the caller, and no launch's fault
    return status;
  }
  void release(void* memory) override { cudaFree(memory); }
  Status allocate_pinned(void** memory, size_t bytes) override { return cudaMallocHost(memory, bytes); }
  void release_pinned(void* memory) override { cudaFreeHost(memory); }

  Status create_stream(void** stream) override {
    cudaStream_t made = nullptr;
    const cudaError_t status = cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking);
    *stream = made;
    return status;
  }
  Status create_side_stream(void** stream) override { return create_stream(stream); }
  void destroy_stream(void* stream) override { cudaStreamDestroy(stream_of(stream)); }

  Status copy_to_device(void* to, const void* from, size_t bytes, void* stream) override {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(stream));
  }
  Status copy_to_host(void* to, const void* from, size_t bytes, void* stream) override {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(stream));
  }
  Status copy(void* to, const void* from, size_t bytes, void* stream) override {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(stream));
  }
  Status zero(void* memory, size_t bytes, void* stream) override {
    return cudaMemsetAsync(memory, 0, bytes, stream_of(stream));
  }
  Status synchronize(void* stream) override { return cudaStreamSynchronize(stream_of(stream)); }
  Status create_event(void** event) override {
    cudaEvent_t made = nullptr;
    const cudaError_t status = cudaEventCreateWithFlags(&made, cudaEventDisableTiming);
    *event = made;
    return status;
  }
  void destroy_event(void* event) override { cudaEventDestroy(static_cast<cudaEvent_t>(event)); }
  Status record_event(void* event, void* stream) override {
    return cudaEventRecord(static_cast<cudaEvent_t>(event), stream_of(stream));
  }
  Status stream_waits(void* stream, void* event) override {
    return cudaStreamWaitEvent(stream_of(stream), static_cast<cudaEvent_t>(event), 0);
  }
  Status wait_for_event(void* event) override { return cudaEventSynchronize(static_cast<cudaEvent_t>(event)); }
  Status last_launch() override { return cudaGetLastError(); }

  Status begin_recording(void* stream) override {
    return cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal);
  }
  Status end_recording(void* stream, void** recording) override {
    cudaGraph_t graph = nullptr;
    if (const cudaError_t status = cudaStreamEndCapture(stream_of(stream), &graph)) return status;
    cudaGraphExec_t made = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&made, graph, 0);
    cudaGraphDestroy(graph);
    *recording = made;
    return status;
  }
  Status replay(void* recording, void* stream) override {
    return cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording), stream_of(stream));
  }
  void release_recording(void* recording) override { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(recording)); }
};

}  // namespace

DeviceApi& runtime_api() {
  static RuntimeApi api;
  return api;
}

}  // namespace quamba2
