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

#include "backends/cpu/linear_w6a8.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

constexpr Kernel<LinearArgs> kLinearRows[] = {
    linear_dot_row("linear_w8a8_" QUAMBA2_ISA_NAME, supports_linear_w8a8),
    kLinearW4A8Row,
    linear_dot_row("linear_w4a8_expanded_" QUAMBA2_ISA_NAME, supports_linear_expanded),
    kLinearW6A8Row,
    linear_row<CodesI4>("linear_w4a16_" QUAMBA2_ISA_NAME, supports_linear<DType::kI4>),
    linear_row<CodesI6>("linear_w6a16_" QUAMBA2_ISA_NAME, supports_linear<DType::kI6>),
    linear_row<CodesI8>("linear_w8a16_" QUAMBA2_ISA_NAME, supports_linear<DType::kI8>),
    linear_row<Codes16<true>>("linear_bf16_" QUAMBA2_ISA_NAME, supports_linear<DType::kBF16>),
    linear_row<Codes16<false>>("linear_f16_" QUAMBA2_ISA_NAME, supports_linear<DType::kF16>),
    linear_row<CodesF32>("linear_f32_" QUAMBA2_ISA_NAME, supports_linear_any),
};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
