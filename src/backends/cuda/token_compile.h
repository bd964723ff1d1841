// SPDX-License-Identifier: Apache-2.0
// Steps of one token of one sequence, compiled into a kernel's program (token_program.cuh).
#pragma once

#include <memory>

#include "backend/device.h"
#include "backend/program.h"
#include "backends/cuda/device_api.h"

namespace quamba2 {

// Null where the steps have no such form: more than one token, another architecture than Mamba2, formats or shapes that it has
// not, a device before compute capability 9.0. `stream` is the device's.
std::unique_ptr<Program> compile_token_program(ProgramSteps steps, Device& device, const DeviceSpec& spec,
                                               void* stream);

}  // namespace quamba2
