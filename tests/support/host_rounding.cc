// SPDX-License-Identifier: Apache-2.0
#include "support/host_rounding.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "quant/code_book.h"
#include "quant/dense.h"
#include "quant/encode.h"

namespace quamba2::testing {
namespace {

double dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

void multiply(const ProductArgs& p, const Stream&) {
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      float& c = p.c[i * p.ldc + j];
      const double sum = dot(p.a + i * p.lda, p.b + j * p.ldb, p.k);
      c = static_cast<float>(p.subtract ? static_cast<double>(c) - sum : sum);
    }
  }
}

void add_gram(const float* x, int64_t rows, int64_t k, float* sum, const Stream&) {
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double add = 0;
      for (int64_t r = 0; r < rows; ++r) add += static_cast<double>(x[r * k + i]) * static_cast<double>(x[r * k + j]);
      sum[i * k + j] += static_cast<float>(add);
    }
  }
}

size_t factor_scratch(int64_t) { return 1; }

void factorize(const FactorArgs& p, const Stream&) {
  const auto k = static_cast<size_t>(p.k);
  std::vector<double> h(k * k), ordered(k * k);
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < k; ++j) h[i * k + j] = static_cast<double>(p.sum[std::max(i, j) * k + std::min(i, j)]);
    if (h[i * k + i] == 0) h[i * k + i] = p.dead;
    h[i * k + i] += p.added;
  }
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < k; ++j)
      ordered[i * k + j] = h[static_cast<size_t>(p.order[i]) * k + static_cast<size_t>(p.order[j])];
  }
  std::copy(h.begin(), h.end(), p.h);
  std::vector<float> l;
  *p.failed = inverse_cholesky(ordered, p.k, &l) ? 0 : 1;
  if (*p.failed == 0) std::copy(l.begin(), l.end(), p.l);
}

RowScales scales_of(const WeightRows& rows, int64_t r) {
  RowScales out(rows.format, rows.groups);
  out.set(rows.scales + r * rows.groups);
  return out;
}

void keep_scales(const WeightRows& rows, int64_t r, const float* chosen) {
  RowScales scales(rows.format, rows.groups);
  scales.set(chosen);
  for (int64_t g = 0; g < rows.groups; ++g) rows.scales[r * rows.groups + g] = scales.scale(g);
  if (rows.format.levels == 2) rows.row_scales[r] = scales.row_scale();
}

void choose_scales(const WeightRows& rows, bool least_squares, const Stream&) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const std::vector<float> chosen =
        quamba2::choose_scales(rows.w + r * rows.columns, rows.columns, rows.format,
                               least_squares ? ScaleChoice::kLeastSquares : ScaleChoice::kLargest);
    keep_scales(rows, r, chosen.data());
  }
}

void set_code(const WeightRows& rows, const RowScales& scales, int64_t r, int64_t k, float code) {
  rows.codes[r * rows.columns + k] = code;
  rows.q[r * rows.columns + k] = scales.value(code, k / rows.group);
}

void round_nearest(const WeightRows& rows, const Stream&) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const RowScales scales = scales_of(rows, r);
    for (int64_t k = 0; k < rows.columns; ++k)
      set_code(rows, scales, r, k, scales.nearest(rows.w[r * rows.columns + k], k / rows.group));
  }
}

void order_columns(const WeightRows& rows, const int32_t* order, float* ordered, const Stream&) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    for (int64_t j = 0; j < rows.columns; ++j) ordered[r * rows.columns + j] = rows.w[r * rows.columns + order[j]];
  }
}

void round_block(const BlockArgs& p, const Stream&) {
  const int64_t k = p.rows.columns;
  for (int64_t r = 0; r < p.rows.rows; ++r) {
    const RowScales scales = scales_of(p.rows, r);
    std::vector<double> w(p.ordered + r * k + p.begin, p.ordered + r * k + p.end);
    float* errors = p.errors + r * kRoundingBlock;
    std::fill(errors, errors + kRoundingBlock, 0.0f);
    for (int64_t j = p.begin; j < p.end; ++j) {
      const int64_t column = p.order[j];
      const double wanted = w[static_cast<size_t>(j - p.begin)];
      set_code(p.rows, scales, r, column, scales.nearest(static_cast<float>(wanted), column / p.rows.group));
      const double error =
          (wanted - static_cast<double>(p.rows.q[r * k + column])) / static_cast<double>(p.l[j * k + j]);
      errors[j - p.begin] = static_cast<float>(error);
      for (int64_t i = j + 1; i < p.end; ++i)
        w[static_cast<size_t>(i - p.begin)] -= error * static_cast<double>(p.l[i * k + j]);
    }
  }
}

void residual(const WeightRows& rows, float* out, const Stream&) {
  for (int64_t i = 0; i < rows.rows * rows.columns; ++i) out[i] = rows.w[i] - rows.q[i];
}

void losses(const WeightRows& rows, const float* gradient, double* losses, const Stream&) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    double sum = 0;
    for (int64_t i = r * rows.columns; i < (r + 1) * rows.columns; ++i)
      sum += static_cast<double>(gradient[i]) * static_cast<double>(rows.w[i] - rows.q[i]);
    losses[r] = std::max(sum, 0.0);
  }
}

void normal_row(const NormalArgs& p, const Stream&) {
  const WeightRows& rows = p.rows;
  for (int64_t r = 0; r < rows.rows; ++r) {
    const int64_t at = r * rows.groups + p.index;
    const auto group_dot = [&](const float* left, int64_t g) {
      const int64_t begin = g * rows.group, n = std::min(rows.columns - begin, rows.group);
      return dot(left + r * rows.columns + begin, rows.codes + r * rows.columns + begin, n);
    };
    for (int64_t g = 0; g <= p.index; ++g) p.a[at * rows.groups + g] = group_dot(p.product, g);
    p.b[at] = group_dot(p.wanted, p.index);
  }
}

void fit_scales(const NormalArgs& p, const Stream&) {
  const WeightRows& rows = p.rows;
  const int64_t n = rows.groups;
  for (int64_t r = 0; r < rows.rows; ++r) {
    double *a = p.a + r * n * n, *b = p.b + r * n, largest = 0;
    for (int64_t g = 0; g < n; ++g) largest = std::max(largest, a[g * n + g]);
    const double ridge = 1e-6 * largest + 1e-30;
    for (int64_t g = 0; g < n; ++g) {
      a[g * n + g] += ridge;
      b[g] += ridge * static_cast<double>(rows.scales[r * n + g]);
    }
    if (!solve_small(a, static_cast<int>(n), b)) continue;
    const std::vector<float> fitted(b, b + n);
    keep_scales(rows, r, fitted.data());
    const RowScales scales = scales_of(rows, r);
    for (int64_t k = 0; k < rows.columns; ++k) set_code(rows, scales, r, k, rows.codes[r * rows.columns + k]);
  }
}

void descend_block(const DescentArgs& p, const Stream&) {
  const int64_t k = p.rows.columns;
  for (int64_t r = 0; r < p.rows.rows; ++r) {
    const RowScales scales = scales_of(p.rows, r);
    float *gradient = p.gradient + r * k, *moves = p.moves + r * kRoundingBlock;
    std::fill(moves, moves + kRoundingBlock, 0.0f);
    for (int64_t j = p.begin; j < p.end; ++j) {
      const float old = p.rows.q[r * k + j], h = p.h[j * k + j];
      const float code = scales.nearest(old + gradient[j] / h, j / p.rows.group);
      const float d = scales.value(code, j / p.rows.group) - old;
      if (!(d != 0 && d * (d * h - 2 * gradient[j]) < 0)) continue;
      set_code(p.rows, scales, r, j, code);
      moves[j - p.begin] = d;
      for (int64_t i = p.begin; i < p.end; ++i) gradient[i] -= d * p.h[j * k + i];
    }
  }
}

void copy_row(const WeightRows& from, const WeightRows& to, int64_t r) {
  std::copy_n(from.codes + r * from.columns, from.columns, to.codes + r * from.columns);
  std::copy_n(from.q + r * from.columns, from.columns, to.q + r * from.columns);
  std::copy_n(from.scales + r * from.groups, from.groups, to.scales + r * from.groups);
  to.row_scales[r] = from.row_scales[r];
}

void keep_better(const WeightRows& rows, const WeightRows& kept, const double* now, double* best, const Stream&) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    if (now[r] < best[r]) {
      copy_row(rows, kept, r);
      best[r] = now[r];
    } else {
      copy_row(kept, rows, r);
    }
  }
}

void codes_to_bytes(const float* codes, int64_t count, int8_t* bytes, const Stream&) {
  for (int64_t i = 0; i < count; ++i) bytes[i] = static_cast<int8_t>(codes[i]);
}

void widen(const float* x, int64_t rows, int64_t columns, int64_t stride, float* range, const Stream&) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const float v = std::fabs(x[r * stride + c]);
      range[c] = v <= range[c] ? range[c] : v;
    }
  }
}

void take_diagonal(const float* sum, int64_t k, float* out, const Stream&) {
  for (int64_t i = 0; i < k; ++i) out[i] = sum[i * k + i];
}

void find_not_finite(const float* x, int64_t count, int32_t* flag, const Stream&) {
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(x[i])) *flag = 1;
  }
}

}  // namespace

const RoundingKernels& host_rounding() {
  static constexpr RoundingKernels kernels = {multiply,      add_gram,      factor_scratch, factorize,   choose_scales,
                                              round_nearest, order_columns, round_block,    residual,    losses,
                                              normal_row,    fit_scales,    descend_block,  keep_better, codes_to_bytes,
                                              widen,         take_diagonal, find_not_finite};
  return kernels;
}

}  // namespace quamba2::testing
