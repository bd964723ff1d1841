// SPDX-License-Identifier: Apache-2.0
// All kernels of one instruction-set level, and its table. Included once by each file of isa/.
#include "backend/kernel.h"
#include "backends/cpu/code_tables.h"
#include "backends/cpu/isa/tables.h"
#include "backends/cpu/math.inl.h"
#include "backends/cpu/weight_row.inl.h"
#include "tensor/hadamard.h"

#include "backends/cpu/embed.inl.h"
#include "backends/cpu/linear.inl.h"

#include "backends/cpu/rows.inl.h"

#include "backends/cpu/hadamard.inl.h"

#include "backends/cpu/norm.inl.h"

#include "backends/cpu/elementwise.inl.h"

#include "backends/cpu/causal_conv1d.inl.h"

#include "backends/cpu/selective_scan.inl.h"

#include "backends/cpu/ssd_scan_state.inl.h"

#include "backends/cpu/ssd_scan_step.inl.h"

#include "backends/cpu/ssd_scan_chunked.inl.h"

#include "backends/cpu/ssd_scan.inl.h"

#include "backends/cpu/ceilings.inl.h"

#define QUAMBA2_ROWS(rows) {rows, static_cast<int32_t>(sizeof(rows) / sizeof(rows[0]))}

namespace quamba2 {

extern constinit const KernelTable QUAMBA2_ISA_TABLE = {
    .name = QUAMBA2_ISA_NAME,
    .embed = QUAMBA2_ROWS(QUAMBA2_ISA::kEmbedRows),
    .select_rows = QUAMBA2_ROWS(QUAMBA2_ISA::kSelectRowsRows),
    .rms_norm = QUAMBA2_ROWS(QUAMBA2_ISA::kRmsNormRows),
    .layer_norm = QUAMBA2_ROWS(QUAMBA2_ISA::kLayerNormRows),
    .linear = QUAMBA2_ROWS(QUAMBA2_ISA::kLinearRows),
    .causal_conv1d = QUAMBA2_ROWS(QUAMBA2_ISA::kCausalConv1dRows),
    .selective_scan = QUAMBA2_ROWS(QUAMBA2_ISA::kSelectiveScanRows),
    .ssd_scan = QUAMBA2_ROWS(QUAMBA2_ISA::kSsdScanRows),
    .gate = QUAMBA2_ROWS(QUAMBA2_ISA::kGateRows),
    .gated_rms_norm = QUAMBA2_ROWS(QUAMBA2_ISA::kGatedRmsNormRows),
    .hadamard = QUAMBA2_ROWS(QUAMBA2_ISA::kHadamardRows),
    .add = QUAMBA2_ROWS(QUAMBA2_ISA::kAddRows),
    .convert = QUAMBA2_ROWS(QUAMBA2_ISA::kConvertRows),
};

}  // namespace quamba2
