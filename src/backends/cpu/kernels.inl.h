// SPDX-License-Identifier: Apache-2.0
// All kernels of one instruction-set level, and its table. Included once by each file of isa/.
#include "backend/kernel.h"
#include "backends/cpu/isa/tables.h"
#include "backends/cpu/math.inl.h"
#include "backends/cpu/weight_row.inl.h"

#include "backends/cpu/embed.inl.h"
#include "backends/cpu/linear.inl.h"

#include "backends/cpu/ceilings.inl.h"

#define QUAMBA2_ROWS(rows) {rows, static_cast<int32_t>(sizeof(rows) / sizeof(rows[0]))}

namespace quamba2 {

extern constinit const KernelTable QUAMBA2_ISA_TABLE = {
    .name = QUAMBA2_ISA_NAME,
    .embed = QUAMBA2_ROWS(QUAMBA2_ISA::kEmbedRows),
    .select_rows = {},
    .rms_norm = {},
    .layer_norm = {},
    .linear = QUAMBA2_ROWS(QUAMBA2_ISA::kLinearRows),
    .causal_conv1d = {},
    .selective_scan = {},
    .ssd_scan = {},
    .gate = {},
    .gated_rms_norm = {},
    .add = {},
    .convert = {},
};

}  // namespace quamba2
