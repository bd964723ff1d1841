// SPDX-License-Identifier: Apache-2.0
// Rounding of a linear's weights that looks at its inputs: minimizes (w - q)^T H (w - q) for every row, where H is the sum
// of x x^T over calibration inputs. GPTQ (arXiv 2210.17323) gives codes for scales that are fixed beforehand; refinement,
// ours, then takes turns between the best scales for the codes (a small linear system a row) and single codes for the
// scales (coordinate descent), and keeps what is better.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/kernel.h"
#include "graph/weight.h"
#include "quant/dense.h"
#include "quant/encode.h"

namespace quamba2 {

struct GptqOptions {
  double damp = 0.01;     // of the mean diagonal, added to it
  bool act_order = true;  // columns with the largest inputs first; groups and scales stay where they are
  int refinements = 3;    // rounds of scales and coordinate descent; 0: GPTQ alone
  ScaleChoice scales = ScaleChoice::kLeastSquares;
};

// Sum of x x^T over inputs x [K], row-major.
struct Hessian {
  int64_t size = 0, rows = 0;
  std::vector<float> sum;

  explicit Hessian(int64_t k) : size(k), sum(static_cast<size_t>(k * k), 0.0f) {}
  void add(Dense* dense, const float* x, int64_t count);  // x [count, K]
};

struct GptqReport {
  double error = 0, rounding_error = 0;  // sqrt of the loss over that of a zero weight; of round to nearest
  double damp = 0;                       // that made H positive definite
};

// `values` [N, K] in a format of i4, i6 or i8 codes with a scale a row or group, or two levels. Throws Error{kRuntime}
// naming the weight where H is not finite or cannot be factorized with any damping.
Weight gptq_encode(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                   const Format& format, const Hessian& hessian, const GptqOptions& options, Dense* dense,
                   GptqReport* report);

}  // namespace quamba2
