// SPDX-License-Identifier: Apache-2.0
// The rows of `linear` of one level.
#include "backends/cpu/gemm_f32_tile.inl.h"
#include "backends/cpu/linear_codes.inl.h"
#include "backends/cpu/linear_epilogue.inl.h"
#include "backends/cpu/linear_panels.inl.h"

#include "backends/cpu/linear_gemm.inl.h"
#include "backends/cpu/linear_gemv.inl.h"

#include "backends/cpu/linear_float.inl.h"
#include "backends/cpu/linear_w8a8.inl.h"

#include "backends/cpu/linear_w4a8.inl.h"

#include "backends/cpu/grouped_panels.inl.h"

#include "backends/cpu/byte_rows.inl.h"

#include "backends/cpu/linear_grouped.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

// Three integer products beat one of floats where an instruction adds four of them; elsewhere it is the other way round.
constexpr Kernel<LinearArgs> kW4A16Rows[] = {
    linear_grouped_row<GroupedI4, 3>("linear_w4a16_" QUAMBA2_ISA_NAME),
    linear_row<CodesI4>("linear_w4a16_float_" QUAMBA2_ISA_NAME, supports_linear<DType::kI4>)};
constexpr Kernel<LinearArgs> kW6A16Rows[] = {
    linear_grouped_row<GroupedI6, 3>("linear_w6a16_" QUAMBA2_ISA_NAME),
    linear_row<CodesI6>("linear_w6a16_float_" QUAMBA2_ISA_NAME, supports_linear<DType::kI6>)};
constexpr int kBetter = kDotIsOne ? 0 : 1;

constexpr Kernel<LinearArgs> kLinearRows[] = {
    linear_dot_row("linear_w8a8_" QUAMBA2_ISA_NAME, supports_linear_w8a8),
    kLinearW4A8Row,
    linear_dot_row("linear_w4a8_expanded_" QUAMBA2_ISA_NAME, supports_linear_expanded),
    linear_grouped_row<GroupedI6, 1>("linear_w6a8_" QUAMBA2_ISA_NAME),
    kW4A16Rows[kBetter],
    kW6A16Rows[kBetter],
    kW4A16Rows[1 - kBetter],
    kW6A16Rows[1 - kBetter],
    linear_row<CodesI8>("linear_w8a16_" QUAMBA2_ISA_NAME, supports_linear<DType::kI8>),
    linear_row<Codes16<true>>("linear_bf16_" QUAMBA2_ISA_NAME, supports_linear<DType::kBF16>),
    linear_row<Codes16<false>>("linear_f16_" QUAMBA2_ISA_NAME, supports_linear<DType::kF16>),
    linear_row<CodesF32>("linear_f32_" QUAMBA2_ISA_NAME, supports_linear_any),
};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
