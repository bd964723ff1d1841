// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/cuda_backend.h"

#include <cstdio>

#include "base/thread_pool.h"

namespace quamba2 {
namespace {

class CudaBackend : public Backend {
 public:
  CudaBackend(DeviceApi& api, int index, ChooseTable choose, CompileSteps compile_steps,
              const RoundingKernels* rounding)
      : device_(std::make_unique<CudaDevice>(api, index)),
        table_(choose(device_->spec())),
        compile_(compile_steps),
        rounding_(rounding),
        pool_(std::make_unique<ThreadPool>(available_threads())) {}

  const KernelTable& table() const override { return table_; }
  Stream stream() const override {
    device_->select();
    const auto parallel = [](void* pool, void (*task)(void*, int), void* context) {
      static_cast<ThreadPool*>(pool)->run(task, context);
    };
    return {parallel, pool_.get(), pool_->threads(), nullptr, device_->stream()};
  }
  Device* device() const override { return device_.get(); }
  std::unique_ptr<Program> compile(ProgramSteps steps) const override {
    device_->select();
    return compile_ ? compile_(steps, *device_, device_->spec(), device_->stream()) : nullptr;
  }
  const RoundingKernels* rounding() const override { return rounding_; }
  std::string description() const override {
    const DeviceSpec& spec = device_->spec();
    char memory[32];
    std::snprintf(memory, sizeof memory, "%.0f GB", static_cast<double>(spec.memory_bytes) / 1e9);
    return "CUDA " + std::string(table_.name) + " (" + spec.name + ", " + memory + ")";
  }

 private:
  std::unique_ptr<CudaDevice> device_;
  const KernelTable& table_;
  CompileSteps compile_;
  const RoundingKernels* rounding_;
  std::unique_ptr<ThreadPool> pool_;  // re-lays weights
};

}  // namespace

std::shared_ptr<Backend> make_cuda_backend(DeviceApi& api, int index, ChooseTable choose, CompileSteps compile,
                                           const RoundingKernels* rounding) {
  return std::make_shared<CudaBackend>(api, index, choose, compile, rounding);
}

}  // namespace quamba2
