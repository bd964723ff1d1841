// SPDX-License-Identifier: Apache-2.0
// Rows on the GPU of the operations that look at one number at a time, and of those that copy rows.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

KernelRows<GateArgs> cuda_gate_rows();
KernelRows<AddArgs> cuda_add_rows();
KernelRows<ConvertArgs> cuda_convert_rows();
KernelRows<SelectRowsArgs> cuda_select_rows_rows();
KernelRows<EmbedArgs> cuda_embed_rows();

}  // namespace quamba2
