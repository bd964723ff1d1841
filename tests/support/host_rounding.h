// SPDX-License-Identifier: Apache-2.0
// The quantizer's kernels (backend/rounding.h) as plain loops over host memory, with sums in doubles and the codes of
// quant/code_book.h: what those of a GPU are held against, and what the fake device runs.
#pragma once

#include "backend/rounding.h"

namespace quamba2::testing {

// They ignore the stream.
const RoundingKernels& host_rounding();

// The same put into the stream of a FakeDeviceApi, on memory that has to be its own.
const RoundingKernels& fake_rounding();

}  // namespace quamba2::testing
