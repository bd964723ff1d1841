// SPDX-License-Identifier: Apache-2.0
#include "quant/gptq_rows.h"

#include <algorithm>
#include <cstring>

namespace quamba2 {
namespace {

// Columns whose updates stay inside the first-level cache; those of later columns are applied a block at a time, by a
// matrix product.
constexpr int64_t kBlock = 128;

void set_code(GptqRows* rows, int64_t r, int64_t k, float code) {
  const auto at = static_cast<size_t>(r * rows->columns() + k);
  rows->codes[at] = code;
  rows->q[at] = rows->scales[static_cast<size_t>(r)].value(code, rows->group_of(k));
}

// w - q, as [rows, K].
std::vector<float> residual(const GptqRows& rows) {
  std::vector<float> out(rows.q.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = rows.w[i] - rows.q[i];
  return out;
}

// (w - q) h
std::vector<float> gradient(const GptqRows& rows) {
  const int64_t k = rows.columns();
  const std::vector<float> left = residual(rows);
  std::vector<float> out(left.size());
  rows.dense.multiply(rows.rows, k, k, left.data(), k, rows.factor.h.data(), k, out.data(), k);
  return out;
}

// Columns [begin, end) of the permuted weights `w` of one row; their errors go to `errors` [end - begin]. `u` is the
// block of l^T on the diagonal, [end - begin] a row.
void round_block(GptqRows* rows, int64_t r, int64_t begin, int64_t end, const float* u, float* w, float* errors) {
  const GptqFactor& f = rows->factor;
  const RowScales& scales = rows->scales[static_cast<size_t>(r)];
  const int64_t n = end - begin;
  for (int64_t j = 0; j < n; ++j) {
    const int64_t k = f.order[static_cast<size_t>(begin + j)];
    set_code(rows, r, k, scales.nearest(w[begin + j], rows->group_of(k)));
    const float error = (w[begin + j] - rows->q[static_cast<size_t>(r * f.size + k)]) / u[j * n + j];
    errors[j] = error;
    for (int64_t i = j + 1; i < n; ++i) w[begin + i] -= error * u[j * n + i];
  }
}

std::vector<float> diagonal_block(const GptqFactor& f, int64_t begin, int64_t end) {
  std::vector<float> out;
  for (int64_t j = begin; j < end; ++j) {
    for (int64_t i = begin; i < end; ++i) out.push_back(f.l[static_cast<size_t>(i * f.size + j)]);
  }
  return out;
}

}  // namespace

void gptq_round(GptqRows* rows) {
  const GptqFactor& f = rows->factor;
  const int64_t k = f.size;
  std::vector<float> w(rows->q.size()), errors(static_cast<size_t>(rows->rows * kBlock));
  for_rows(rows->dense.stream(), rows->rows, [&](int64_t r) {
    for (int64_t j = 0; j < k; ++j)
      w[static_cast<size_t>(r * k + j)] = rows->w[r * k + f.order[static_cast<size_t>(j)]];
  });
  for (int64_t begin = 0; begin < k; begin += kBlock) {
    const int64_t end = std::min(k, begin + kBlock);
    const std::vector<float> u = diagonal_block(f, begin, end);
    for_rows(rows->dense.stream(), rows->rows, [&](int64_t r) {
      round_block(rows, r, begin, end, u.data(), w.data() + r * k, errors.data() + r * kBlock);
    });
    rows->dense.subtract_product(rows->rows, k - end, end - begin, errors.data(), kBlock, f.l.data() + end * k + begin,
                                 k, w.data() + end, k);
  }
}

void round_to_nearest(GptqRows* rows) {
  const int64_t k = rows->columns();
  for_rows(rows->dense.stream(), rows->rows, [&](int64_t r) {
    const RowScales& scales = rows->scales[static_cast<size_t>(r)];
    for (int64_t j = 0; j < k; ++j) set_code(rows, r, j, scales.nearest(rows->w[r * k + j], rows->group_of(j)));
  });
}

std::vector<double> row_losses(const GptqRows& rows) {
  const int64_t k = rows.columns();
  const std::vector<float> g = gradient(rows);
  std::vector<double> out(static_cast<size_t>(rows.rows));
  for_rows(rows.dense.stream(), rows.rows, [&](int64_t r) {
    double sum = 0;
    for (int64_t j = r * k; j < (r + 1) * k; ++j) {
      const auto i = static_cast<size_t>(j);
      sum += static_cast<double>(g[i]) * static_cast<double>(rows.w[i] - rows.q[i]);
    }
    out[static_cast<size_t>(r)] = std::max(sum, 0.0);
  });
  return out;
}

// With C_g the codes of group g and s the scales: minimize |w - sum_g s_g C_g|_H, whose normal equations are
// sum_h (C_g^T H C_h) s_h = C_g^T H w.
void fit_scales(GptqRows* rows) {
  const int64_t k = rows->columns(), groups = rows->scales[0].groups();
  const auto n = static_cast<size_t>(groups);
  std::vector<double> a(static_cast<size_t>(rows->rows) * n * n), b(static_cast<size_t>(rows->rows) * n);
  std::vector<float> product(rows->q.size());
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t begin = g * rows->group, end = std::min(k, begin + rows->group);
    rows->dense.multiply(rows->rows, k, end - begin, rows->codes.data() + begin, k, rows->factor.h.data() + begin, k,
                         product.data(), k);
    for_rows(rows->dense.stream(), rows->rows, [&](int64_t r) {
      const float *p = product.data() + r * k, *c = rows->codes.data() + r * k, *w = rows->w + r * k;
      double* row = a.data() + (static_cast<size_t>(r) * n + static_cast<size_t>(g)) * n;
      double right = 0;
      for (int64_t other = 0; other < groups; ++other) {
        float left_sum = 0, right_sum = 0;
        for (int64_t j = other * rows->group; j < std::min(k, (other + 1) * rows->group); ++j) {
          left_sum += p[j] * c[j];
          right_sum += p[j] * w[j];
        }
        row[other] = static_cast<double>(left_sum);
        right += static_cast<double>(right_sum);
      }
      b[static_cast<size_t>(r) * n + static_cast<size_t>(g)] = right;
    });
  }
  for_rows(rows->dense.stream(), rows->rows, [&](int64_t r) {
    double* matrix = a.data() + static_cast<size_t>(r) * n * n;
    double* right = b.data() + static_cast<size_t>(r) * n;
    RowScales& scales = rows->scales[static_cast<size_t>(r)];
    double largest = 0;
    for (size_t g = 0; g < n; ++g) largest = std::max(largest, matrix[g * n + g]);
    for (size_t g = 0; g < n; ++g) {  // an empty group keeps its scale
      const double ridge = 1e-6 * largest + 1e-30;
      matrix[g * n + g] += ridge;
      right[g] += ridge * static_cast<double>(scales.scale(static_cast<int64_t>(g)));
    }
    if (!solve_small(matrix, static_cast<int>(n), right)) return;
    std::vector<float> fitted(right, right + n);
    scales.set(fitted.data());
    for (int64_t j = 0; j < k; ++j) set_code(rows, r, j, rows->codes[static_cast<size_t>(r * k + j)]);
  });
}

void descend(GptqRows* rows, int sweeps) {
  const int64_t k = rows->columns();
  const float* h = rows->factor.h.data();
  std::vector<float> g = gradient(*rows), moved(static_cast<size_t>(rows->rows * kBlock));
  for (int64_t block = 0; block < sweeps * ((k + kBlock - 1) / kBlock); ++block) {
    const int64_t begin = block % ((k + kBlock - 1) / kBlock) * kBlock, end = std::min(k, begin + kBlock);
    for_rows(rows->dense.stream(), rows->rows, [&](int64_t r) {
      float *gradient_row = g.data() + r * k, *moves = moved.data() + r * kBlock;
      const RowScales& scales = rows->scales[static_cast<size_t>(r)];
      std::fill(moves, moves + kBlock, 0.0f);
      for (int64_t j = begin; j < end; ++j) {
        const float old = rows->q[static_cast<size_t>(r * k + j)];
        // Moving q_j by d changes the loss by d (d h_jj - 2 g_j): the best q_j is q_j + g_j / h_jj.
        const float code = scales.nearest(old + gradient_row[j] / h[j * k + j], rows->group_of(j));
        const float d = scales.value(code, rows->group_of(j)) - old;
        if (d == 0 || d * (d * h[j * k + j] - 2 * gradient_row[j]) >= 0) continue;
        set_code(rows, r, j, code);
        moves[j - begin] = d;
        for (int64_t i = begin; i < end; ++i) gradient_row[i] -= d * h[j * k + i];
      }
    });
    // h is symmetric: its columns [begin, end) are what these rows of it would be.
    rows->dense.subtract_product(rows->rows, begin, end - begin, moved.data(), kBlock, h + begin, k, g.data(), k);
    rows->dense.subtract_product(rows->rows, k - end, end - begin, moved.data(), kBlock, h + end * k + begin, k,
                                 g.data() + end, k);
  }
}

}  // namespace quamba2
