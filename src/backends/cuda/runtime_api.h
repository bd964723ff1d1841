// SPDX-License-Identifier: Apache-2.0
// DeviceApi over NVIDIA's runtime library.
#pragma once

#include "backends/cuda/device_api.h"

namespace quamba2 {

DeviceApi& runtime_api();

}  // namespace quamba2
