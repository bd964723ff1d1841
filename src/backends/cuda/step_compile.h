// SPDX-License-Identifier: Apache-2.0
// Steps of one token of one sequence of Mamba1 as a recording of fewer and larger kernels (step_linear.cuh, mixer_step.cuh):
// three a layer.
#pragma once

#include <memory>

#include "backend/device.h"
#include "backend/program.h"
#include "backends/cuda/device_api.h"

namespace quamba2 {

// Null where no step has such a form: more than one token, another architecture than Mamba1, activations that are not codes of
// 8 bits, a device before compute capability 9.0. Steps that have none beside others that do run as they are.
// `stream` is the device's.
std::unique_ptr<Program> compile_step_program(ProgramSteps steps, Device& device, const DeviceSpec& spec, void* stream);

}  // namespace quamba2
