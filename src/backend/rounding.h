// SPDX-License-Identifier: Apache-2.0
// What the quantizer asks of a device: sums over calibration inputs, factorizations, and the rounding of weights
// (quant/gptq.h says what all of it is for). All memory is the device's, matrices are row-major; everything happens in the
// order of the calls on the stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/kernel.h"
#include "tensor/view.h"

namespace quamba2 {

// c [m, n] = a [m, k] * b^T for b [n, k], or c -= it; lda, ldb and ldc are the strides of rows.
struct ProductArgs {
  int64_t m = 0, n = 0, k = 0;
  const float *a = nullptr, *b = nullptr;
  float* c = nullptr;
  int64_t lda = 0, ldb = 0, ldc = 0;
  bool subtract = false;
};

// A matrix of inputs becomes what GPTQ divides by. `sum` [k, k] is given on and below its diagonal.
struct FactorArgs {
  int64_t k = 0;
  const float* sum = nullptr;
  const int32_t* order = nullptr;  // columns in the order in which GPTQ takes them
  double dead = 0, added = 0;      // the diagonal of inputs that are always zero, and what every diagonal gets on top
  float* h = nullptr;              // out [k, k]: damped, symmetric, natural order
  float* l = nullptr;              // out [k, k]: lower triangular with l l^T = h^-1, in `order`, zeros above
  int32_t* failed = nullptr;       // out [1]: not zero where h is not positive definite
  double* scratch = nullptr;       // factor_scratch(k) numbers
};

// Rows of a weight [rows, columns] while they are rounded. A group of columns has one scale.
struct WeightRows {
  int64_t rows = 0, columns = 0, group = 0, groups = 0;
  Format format;
  const float* w = nullptr;              // wanted
  float *codes = nullptr, *q = nullptr;  // signed codes, and what they decode to
  float* scales = nullptr;               // [rows, groups]
  float* row_scales = nullptr;           // [rows], for formats of two levels
};

// Columns [begin, end) of the weights in GPTQ's order, at most kRoundingBlock.
constexpr int64_t kRoundingBlock = 128;
struct BlockArgs {
  WeightRows rows;
  int64_t begin = 0, end = 0;
  const int32_t* order = nullptr;
  const float* l = nullptr;
  const float* ordered = nullptr;  // [rows, columns]: w in that order, with the errors of earlier blocks spread over it
  float* errors = nullptr;         // out [rows, kRoundingBlock], zeros behind the block's own columns
};

struct DescentArgs {
  WeightRows rows;
  int64_t begin = 0, end = 0;  // natural order, at most kRoundingBlock columns
  const float* h = nullptr;    // [columns, columns]
  float* gradient = nullptr;   // [rows, columns]: (w - q) h; kept up to date in the block's own columns
  float* moves = nullptr;      // out [rows, kRoundingBlock]: what the block's q moved by, zeros behind them
};

// The normal equations of the scales of each row: a [rows, groups, groups] on and below the diagonal, b [rows, groups].
struct NormalArgs {
  WeightRows rows;
  int64_t index = 0;               // of the group g whose row of `a` this makes
  const float* product = nullptr;  // [rows, columns]: C_g h, given in columns of groups 0 to g
  const float* wanted = nullptr;   // [rows, columns]: w h
  double *a = nullptr, *b = nullptr;
};

struct RoundingKernels {
  void (*multiply)(const ProductArgs& args, const Stream& stream);
  // sum [k, k] += x^T x for x [rows, k], on and below the diagonal.
  void (*add_gram)(const float* x, int64_t rows, int64_t k, float* sum, const Stream& stream);
  size_t (*factor_scratch)(int64_t k);
  void (*factorize)(const FactorArgs& args, const Stream& stream);
  // Fills scales and row_scales: from the largest magnitudes, or of those below the one that leaves the least squared error.
  void (*choose_scales)(const WeightRows& rows, bool least_squares, const Stream& stream);
  // Fills codes and q.
  void (*round_nearest)(const WeightRows& rows, const Stream& stream);
  void (*order_columns)(const WeightRows& rows, const int32_t* order, float* ordered, const Stream& stream);
  void (*round_block)(const BlockArgs& args, const Stream& stream);
  // out [rows, columns] = w - q
  void (*residual)(const WeightRows& rows, float* out, const Stream& stream);
  // losses [rows] = sum over columns of gradient * (w - q), not below zero.
  void (*losses)(const WeightRows& rows, const float* gradient, double* losses, const Stream& stream);
  void (*normal_row)(const NormalArgs& args, const Stream& stream);
  // Solves the equations, which are overwritten; scales become the solutions rounded, q follows. A row whose matrix is not
  // positive definite stays.
  void (*fit_scales)(const NormalArgs& args, const Stream& stream);
  void (*descend_block)(const DescentArgs& args, const Stream& stream);
  // Where now[r] < best[r], best[r] = now[r] and `kept` takes the row; else the row becomes what `kept` has. `kept` has
  // codes, q and scales of its own.
  void (*keep_better)(const WeightRows& rows, const WeightRows& kept, const double* now, double* best,
                      const Stream& stream);
  void (*codes_to_bytes)(const float* codes, int64_t count, int8_t* bytes, const Stream& stream);
  // range[c] = max(range[c], |x[r, c]|) over rows; a NaN stays.
  void (*widen)(const float* x, int64_t rows, int64_t columns, int64_t stride, float* range, const Stream& stream);
  // out [k] = the diagonal of sum [k, k]
  void (*take_diagonal)(const float* sum, int64_t k, float* out, const Stream& stream);
  // flag[0] = 1 where a number is NaN or infinite; else it stays.
  void (*find_not_finite)(const float* x, int64_t count, int32_t* flag, const Stream& stream);
};

}  // namespace quamba2
