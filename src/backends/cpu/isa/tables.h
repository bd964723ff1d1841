// SPDX-License-Identifier: Apache-2.0
// The one symbol that each ISA object exports.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

extern const KernelTable kCpuScalarTable;
extern const KernelTable kCpuAvx2Table;
extern const KernelTable kCpuAvx512Table;
extern const KernelTable kCpuAvx512VnniTable;

}  // namespace quamba2
