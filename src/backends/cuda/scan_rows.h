// SPDX-License-Identifier: Apache-2.0
// Rows of both scans on the GPU, best first. `architecture`: 10 * major + minor of the device.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

KernelRows<SsdScanArgs> cuda_ssd_scan_rows(int32_t architecture);
KernelRows<SelectiveScanArgs> cuda_selective_scan_rows(int32_t architecture);

}  // namespace quamba2
