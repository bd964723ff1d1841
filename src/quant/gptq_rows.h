// SPDX-License-Identifier: Apache-2.0
// A block of weight rows while GPTQ and its refinement work on it.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/kernel.h"
#include "quant/code_book.h"
#include "quant/dense.h"
#include "quant/for_rows.h"
#include "quant/gptq.h"

namespace quamba2 {

// What all rows of a weight share. Dead inputs (a zero diagonal) have a diagonal of one.
struct GptqFactor {
  int64_t size = 0;
  std::vector<int32_t> order;  // columns in the order in which GPTQ takes them
  std::vector<float> h;        // damped, symmetric [K, K], natural order
  std::vector<float> l;        // lower triangular with l l^T = h^-1, in `order`
  double damp = 0;
};

struct GptqRows {
  const GptqFactor& factor;
  Dense& dense;
  const float* w;  // [rows, K] the weights wanted
  int64_t rows, group;
  std::vector<RowScales> scales;  // a row
  std::vector<float> codes, q;    // [rows, K]: codes, and what they decode to

  int64_t columns() const { return factor.size; }
  int64_t group_of(int64_t k) const { return k / group; }
};

// Codes column by column, each one's error spread over the columns that follow.
void gptq_round(GptqRows* rows);
// Plain rounding.
void round_to_nearest(GptqRows* rows);
// (w - q)^T h (w - q) of every row.
std::vector<double> row_losses(const GptqRows& rows);
// The best scales for the codes as they are; values are decoded anew.
void fit_scales(GptqRows* rows);
// Moves single codes while that lowers the loss; `sweeps` times over all columns.
void descend(GptqRows* rows, int sweeps);

}  // namespace quamba2
