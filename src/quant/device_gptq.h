// SPDX-License-Identifier: Apache-2.0
// GPTQ, its refinement and plain rounding on a device: what quant/gptq.h does, with sums in another order.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"
#include "graph/weight.h"
#include "quant/device_calibration.h"
#include "quant/encode.h"
#include "quant/gptq.h"

namespace quamba2 {

// As gptq_encode. `host` stores the codes. Throws Error{kResource} where the device has too little memory, before any is taken.
Weight gptq_encode(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                   const Format& format, const DeviceHessian& hessian, const GptqOptions& options,
                   const Backend& backend, const Stream& host, GptqReport* report);

// As encode_weight.
Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                     const Format& format, ScaleChoice choice, const Backend& backend, const Stream& host);

// Bytes of the device that gptq_encode takes at most for a weight of this shape, its Hessian included.
size_t gptq_bytes(int64_t rows, int64_t columns, const Format& format, const RoundingKernels& kernels);

// Throws Error{kResource} where quantizing a model with `tokens` of calibration text needs more of the device than is free:
// before any work is done.
void require_memory(const Graph& model, int64_t tokens, const Backend& backend);

}  // namespace quamba2
