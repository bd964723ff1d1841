// SPDX-License-Identifier: Apache-2.0
// The quantizer's kernels on the GPU (backend/rounding.h), on compute capability 8.0 and newer.
#pragma once

#include "backend/rounding.h"

namespace quamba2 {

const RoundingKernels& cuda_rounding_kernels();

namespace cuda {

void multiply(const ProductArgs& args, const Stream& stream);
void add_gram(const float* x, int64_t rows, int64_t k, float* sum, const Stream& stream);
size_t factor_scratch(int64_t k);
void factorize(const FactorArgs& args, const Stream& stream);
void choose_scales(const WeightRows& rows, bool least_squares, const Stream& stream);
void round_nearest(const WeightRows& rows, const Stream& stream);
void order_columns(const WeightRows& rows, const int32_t* order, float* ordered, const Stream& stream);
void round_block(const BlockArgs& args, const Stream& stream);
void residual(const WeightRows& rows, float* out, const Stream& stream);
void losses(const WeightRows& rows, const float* gradient, double* losses, const Stream& stream);
void normal_row(const NormalArgs& args, const Stream& stream);
void fit_scales(const NormalArgs& args, const Stream& stream);
void descend_block(const DescentArgs& args, const Stream& stream);
void keep_better(const WeightRows& rows, const WeightRows& kept, const double* now, double* best, const Stream& stream);
void codes_to_bytes(const float* codes, int64_t count, int8_t* bytes, const Stream& stream);
void widen(const float* x, int64_t rows, int64_t columns, int64_t stride, float* range, const Stream& stream);
void take_diagonal(const float* sum, int64_t k, float* out, const Stream& stream);
void find_not_finite(const float* x, int64_t count, int32_t* flag, const Stream& stream);

}  // namespace cuda
}  // namespace quamba2
