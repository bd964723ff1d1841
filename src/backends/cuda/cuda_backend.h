// SPDX-License-Identifier: Apache-2.0
// A GPU as a back end: its kernel table and one stream.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backends/cuda/cuda_device.h"

namespace quamba2 {

// `index` counts the GPUs that the driver shows (CUDA_VISIBLE_DEVICES). Throws Error{kResource}: no driver, no such device,
// one that this build has no kernels for, or a build without CUDA.
std::shared_ptr<Backend> make_cuda_backend(int index);

// The table for a device; throws where there is none.
using ChooseTable = const KernelTable& (*)(const DeviceSpec& spec);
// Compiles steps for a device, or gives null (Backend::compile). `stream` is the device's.
using CompileSteps = std::unique_ptr<Program> (*)(ProgramSteps steps, Device& device, const DeviceSpec& spec,
                                                  void* stream);
// On any runtime, for tests; `compile` and `rounding` may be null.
std::shared_ptr<Backend> make_cuda_backend(DeviceApi& api, int index, ChooseTable choose,
                                           CompileSteps compile = nullptr, const RoundingKernels* rounding = nullptr);

}  // namespace quamba2
