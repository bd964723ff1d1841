// SPDX-License-Identifier: Apache-2.0
// The quantizer's kernels on a GPU against plain loops in doubles (support/host_rounding.h). Sums are within their rounding;
// a code may differ from the reference's where the number is that close to a tie, which a replay in doubles of what the
// device chose shows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "quant/code_book.h"
#include "support/cuda_device.h"
#include "support/host_rounding.h"
#include "support/tolerance.h"

namespace quamba2 {
namespace {

using testing::cuda_backend;
using testing::gamma;
using testing::host_rounding;
using testing::kUnit;

const RoundingKernels& kernels() { return *cuda_backend()->rounding(); }
Device& device() { return *cuda_backend()->device(); }
Stream stream() { return cuda_backend()->stream(); }

// Numbers here and on the device.
template <class T>
struct Both {
  std::vector<T> host;
  Storage there;

  explicit Both(std::vector<T> values) : host(std::move(values)), there(&device(), host.size() * sizeof(T)) { put(); }
  void put() { device().upload(there.data(), host.data(), host.size() * sizeof(T)); }
  std::vector<T> get() const {
    std::vector<T> out(host.size());
    device().download(out.data(), there.data(), out.size() * sizeof(T));
    return out;
  }
  T* data() const { return static_cast<T*>(there.data()); }
};

std::vector<float> normals(int64_t n, uint64_t seed, double scale = 1) {
  Random random(seed);
  std::vector<float> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(static_cast<float>(scale * random.normal()));
  return out;
}

Format format_of(DType storage, int group, int levels) {
  Format f;
  f.storage = storage;
  f.levels = static_cast<uint8_t>(levels);
  f.level[0] = {group ? Grain::kGroup : Grain::kRow, static_cast<int16_t>(group), group ? DType::kF16 : DType::kF32};
  if (levels == 2) f.level[1] = {Grain::kRow, 0, DType::kF32};
  return f;
}

const Format kFormats[] = {format_of(DType::kI4, 128, 1), format_of(DType::kI4, 128, 2), format_of(DType::kI4, 32, 2),
                           format_of(DType::kI6, 64, 1), format_of(DType::kI8, 0, 1)};

// A weight on both sides.
struct Rows {
  int64_t rows, columns;
  Both<float> w, codes, q, scales, row_scales;
  WeightRows there, here;

  Rows(const Format& f, int64_t r, int64_t k, uint64_t seed)
      : rows(r),
        columns(k),
        w(normals(r * k, seed, 0.02)),
        codes(std::vector<float>(r * k)),
        q(std::vector<float>(r * k)),
        scales(std::vector<float>(r * groups(f, k))),
        row_scales(std::vector<float>(r, 1.0f)) {
    there = {r, k, group(f, k), groups(f, k), f, w.data(), codes.data(), q.data(), scales.data(), row_scales.data()};
    here = there;
    here.w = w.host.data(), here.codes = codes.host.data(), here.q = q.host.data();
    here.scales = scales.host.data(), here.row_scales = row_scales.host.data();
  }
  static int64_t group(const Format& f, int64_t k) { return f.level[0].grain == Grain::kGroup ? f.level[0].group : k; }
  static int64_t groups(const Format& f, int64_t k) { return (k + group(f, k) - 1) / group(f, k); }

  void choose_and_round() {
    kernels().choose_scales(there, false, stream());
    kernels().round_nearest(there, stream());
    host_rounding().choose_scales(here, false, {});
    host_rounding().round_nearest(here, {});
  }
  RowScales scales_of(int64_t r) const {
    RowScales out(there.format, there.groups);
    out.set(scales.host.data() + r * there.groups);
    return out;
  }
};

std::vector<float> positive_definite(int64_t k, uint64_t seed) {
  const int64_t n = 2 * k;
  const std::vector<float> x = normals(n * k, seed);
  std::vector<float> out(k * k, 0.0f);
  host_rounding().add_gram(x.data(), n, k, out.data(), {});
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = i + 1; j < k; ++j) out[i * k + j] = out[j * k + i];
  }
  return out;
}

TEST(CudaRounding, Products) {
  for (const auto& [m, n, k] :
       {std::array<int64_t, 3>{1, 1, 1}, {70, 131, 45}, {300, 257, 300}, {129, 128, 16}, {5, 640, 128}}) {
    for (bool subtract : {false, true}) {
      const int64_t lda = k + (subtract ? 3 : 4), ldb = k + 4, ldc = n + 1;
      Both<float> a(normals(m * lda, 1)), b(normals(n * ldb, 2)), c(normals(m * ldc, 3));
      kernels().multiply({m, n, k, a.data(), b.data(), c.data(), lda, ldb, ldc, subtract}, stream());
      const std::vector<float> got = c.get();
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < ldc; ++j) {
          const double before = c.host[i * ldc + j];
          double sum = 0, size = std::fabs(before);
          for (int64_t d = 0; j < n && d < k; ++d) {
            const double term = double{a.host[i * lda + d]} * b.host[j * ldb + d];
            sum += term, size += std::fabs(term);
          }
          const double want = j == n ? before : subtract ? before - sum : sum;
          ASSERT_LE(std::fabs(got[i * ldc + j] - want), j == n ? 0 : gamma(static_cast<double>(k) + 2) * size)
              << m << " " << n << " " << k << " at " << i << ", " << j;
        }
      }
    }
  }
}

TEST(CudaRounding, SumsOfInputs) {
  for (const auto& [rows, k] : {std::pair<int64_t, int64_t>{1, 1}, {300, 130}, {77, 257}, {512, 384}}) {
    Both<float> x(normals(rows * k, 4)), sum(std::vector<float>(k * k, 0.5f));
    for (int i = 0; i < 2; ++i) kernels().add_gram(x.data(), rows, k, sum.data(), stream());
    const std::vector<float> got = sum.get();
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double want = 0.5, size = 0.5;
        for (int64_t r = 0; r < rows; ++r) {
          const double term = double{x.host[r * k + i]} * x.host[r * k + j];
          want += 2 * term, size += 2 * std::fabs(term);
        }
        ASSERT_LE(std::fabs(got[i * k + j] - want), gamma(static_cast<double>(rows) + 3) * size) << i << ", " << j;
      }
    }
  }
}

struct Factors {
  std::vector<float> h, l;
  int32_t failed;
};

Factors factors_of(const RoundingKernels& k, const std::vector<float>& sum, const std::vector<int32_t>& order,
                   double added) {
  const auto n = static_cast<int64_t>(order.size());
  Both<float> s(sum), h(std::vector<float>(n * n, NAN)), l(std::vector<float>(n * n, NAN));
  Both<int32_t> o(order), failed({7});
  const bool host = &k == &host_rounding();
  Both<double> scratch(std::vector<double>(k.factor_scratch(n), NAN));
  FactorArgs args{n, s.data(), o.data(), 1.0, added, h.data(), l.data(), failed.data(), scratch.data()};
  if (host) {
    args.sum = s.host.data(), args.order = o.host.data(), args.h = h.host.data(), args.l = l.host.data();
    args.failed = failed.host.data();
  }
  k.factorize(args, stream());
  if (host) return {h.host, l.host, failed.host[0]};
  return {h.get(), l.get(), failed.get()[0]};
}

TEST(CudaRounding, Factors) {
  for (int64_t k : {1, 2, 63, 64, 65, 200, 391}) {
    std::vector<float> sum = positive_definite(k, static_cast<uint64_t>(k));
    std::vector<int32_t> order(static_cast<size_t>(k));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = 0; i + 1 < k; ++i) std::swap(order[i], order[(i * 7 + 3) % k]);
    if (k > 2) {  // an input that is always zero
      for (int64_t i = 0; i < k; ++i) sum[i * k + 1] = sum[k + i] = 0;
    }
    const double added = 0.02 * static_cast<double>(k);
    const Factors got = factors_of(kernels(), sum, order, added), want = factors_of(host_rounding(), sum, order, added);
    EXPECT_EQ(got.failed, 0);
    EXPECT_EQ(got.h, want.h) << k;
    double trace = 0, most = 0;
    for (int64_t i = 0; i < k; ++i) trace += double{want.h[i * k + i]};
    for (float v : want.l) most = std::max(most, std::fabs(double{v}));
    // Backward errors of both ways in doubles, times the condition, and the rounding to floats.
    const double condition = trace / added, apart = 16 * static_cast<double>(k) * 0x1p-53 * condition * most;
    for (size_t i = 0; i < got.l.size(); ++i)
      ASSERT_LE(std::fabs(double{got.l[i]} - want.l[i]), apart + 2 * kUnit * std::fabs(want.l[i])) << k << " at " << i;
  }
}

TEST(CudaRounding, MatricesThatAreNotPositiveDefiniteAreTold) {
  for (const int64_t bad : {0, 70, 99}) {
    std::vector<float> sum = positive_definite(100, 9);
    sum[bad * 100 + bad] = -1;
    std::vector<int32_t> order(100);
    std::iota(order.begin(), order.end(), 0);
    EXPECT_NE(factors_of(kernels(), sum, order, 0.5).failed, 0) << bad;
  }
}

TEST(CudaRounding, ScalesAndPlainCodesAreTheHosts) {
  for (const Format& f : kFormats) {
    for (const int64_t k : {256, 300, 33}) {
      Rows rows(f, 37, k, 11);
      for (int64_t i = 0; i < k; ++i) rows.w.host[2 * k + i] = 0;  // a row of zeros
      rows.w.put();
      rows.choose_and_round();
      EXPECT_EQ(rows.scales.get(), rows.scales.host);
      if (f.levels == 2) {
        EXPECT_EQ(rows.row_scales.get(), rows.row_scales.host);
      }
      EXPECT_EQ(rows.codes.get(), rows.codes.host);
      EXPECT_EQ(rows.q.get(), rows.q.host);
    }
  }
}

double squared_error(const Rows& rows, int64_t r, int64_t g, float scale) {
  const Format& f = rows.there.format;
  const double lowest = min_code(f.storage), highest = max_code(f.storage);
  double sum = 0;
  for (int64_t k = g * rows.there.group; k < std::min(rows.columns, (g + 1) * rows.there.group); ++k) {
    const double w = rows.w.host[r * rows.columns + k];
    const double code = scale == 0 ? 0 : std::nearbyint(std::clamp(w / scale, lowest, highest));
    sum += (w - code * scale) * (w - code * scale);
  }
  return sum;
}

TEST(CudaRounding, ScalesLeaveTheLeastError) {
  for (const Format& f : kFormats) {
    Rows rows(f, 29, 300, 12);
    kernels().choose_scales(rows.there, true, stream());
    host_rounding().choose_scales(rows.here, true, {});
    const std::vector<float> got = rows.scales.get();
    for (int64_t r = 0; r < rows.rows; ++r) {
      for (int64_t g = 0; g < rows.there.groups; ++g) {
        const double mine = squared_error(rows, r, g, got[r * rows.there.groups + g]);
        const double best = squared_error(rows, r, g, rows.scales.host[r * rows.there.groups + g]);
        ASSERT_LE(mine, best * (1 + 4 * gamma(static_cast<double>(rows.there.group)))) << r << " " << g;
      }
    }
  }
}

// Whether a code is the nearest to `target` but for `slack` in units of a code.
bool is_nearest(const Format& f, double target, double code, double slack) {
  const double lowest = min_code(f.storage), highest = max_code(f.storage);
  return std::fabs(std::clamp(target, lowest, highest) - code) <= 0.5 + slack;
}

TEST(CudaRounding, GptqRoundsToTheNearestOfWhatErrorsLeave) {
  for (const Format& f : kFormats) {
    for (const int64_t begin : {0, 128, 256}) {
      constexpr int64_t k = 300;
      const int64_t end = std::min(k, begin + kRoundingBlock);
      Rows rows(f, 70, k, 13);
      rows.choose_and_round();
      std::vector<int32_t> order(k);
      std::iota(order.begin(), order.end(), 0);
      for (int64_t i = 0; i + 1 < k; ++i) std::swap(order[i], order[(i * 11 + 5) % k]);
      Both<float> l(factors_of(host_rounding(), positive_definite(k, 3), order, 3.0).l);
      Both<int32_t> o(order);
      Both<float> ordered(std::vector<float>(70 * k, NAN)), errors(std::vector<float>(70 * kRoundingBlock, NAN));
      kernels().order_columns(rows.there, o.data(), ordered.data(), stream());
      ordered.host = ordered.get();
      for (int64_t i = 0; i < 70 * k; ++i) ASSERT_EQ(ordered.host[i], rows.w.host[i / k * k + order[i % k]]);
      kernels().round_block({rows.there, begin, end, o.data(), l.data(), ordered.data(), errors.data()}, stream());
      const std::vector<float> codes = rows.codes.get(), q = rows.q.get(), told = errors.get();
      for (int64_t r = 0; r < 70; ++r) {
        const RowScales scales = rows.scales_of(r);
        std::vector<double> w(ordered.host.begin() + r * k, ordered.host.begin() + (r + 1) * k), size(w);
        for (double& v : size) v = std::fabs(v);
        for (int64_t j = begin; j < end; ++j) {
          const int64_t column = order[j], group = column / rows.there.group;
          const double scale = scales.scale(group), slack = gamma(3.0 * kRoundingBlock) * size[j];
          const float code = codes[r * k + column];
          ASSERT_TRUE(is_nearest(f, w[j] / scale, code, slack / std::fabs(scale) + 4 * kUnit * 256)) << r << " " << j;
          ASSERT_EQ(q[r * k + column], scales.value(code, group));
          const double diagonal = l.host[j * k + j], error = (w[j] - q[r * k + column]) / diagonal;
          const double far = slack / diagonal + 4 * kUnit * std::fabs(error);
          ASSERT_LE(std::fabs(told[r * kRoundingBlock + j - begin] - error), far) << r << " " << j;
          for (int64_t i = j + 1; i < end; ++i) {
            w[i] -= error * l.host[i * k + j];
            size[i] += std::fabs(error * l.host[i * k + j]) +
                       far / gamma(3.0 * kRoundingBlock) * std::fabs(l.host[i * k + j]) / kRoundingBlock;
          }
        }
        for (int64_t j = end - begin; j < kRoundingBlock; ++j) ASSERT_EQ(told[r * kRoundingBlock + j], 0.0f);
        for (int64_t j = 0; j < k; ++j) {
          if (j >= begin && j < end) continue;
          ASSERT_EQ(codes[r * k + order[j]], rows.codes.host[r * k + order[j]]);
        }
      }
    }
  }
}

TEST(CudaRounding, DescentTakesCodesThatLowerTheLoss) {
  for (const Format& f : kFormats) {
    for (const int64_t begin : {0, 256}) {
      constexpr int64_t k = 300;
      const int64_t end = std::min(k, begin + kRoundingBlock);
      Rows rows(f, 70, k, 14);
      rows.choose_and_round();
      Both<float> h(positive_definite(k, 5)), gradient(normals(70 * k, 6, 0.02)),
          moves(std::vector<float>(70 * kRoundingBlock, NAN));
      for (int64_t i = 0; i < k; ++i) h.host[i * k + i] += 3;
      h.put();
      kernels().descend_block({rows.there, begin, end, h.data(), gradient.data(), moves.data()}, stream());
      const std::vector<float> codes = rows.codes.get(), q = rows.q.get(), moved = moves.get(), after = gradient.get();
      int64_t any = 0;
      for (int64_t r = 0; r < 70; ++r) {
        const RowScales scales = rows.scales_of(r);
        std::vector<double> g(gradient.host.begin() + r * k, gradient.host.begin() + (r + 1) * k), size(g);
        for (double& v : size) v = std::fabs(v);
        for (int64_t j = begin; j < end; ++j) {
          const int64_t group = j / rows.there.group;
          const double old = rows.q.host[r * k + j], d = moved[r * kRoundingBlock + j - begin],
                       diagonal = h.host[j * k + j];
          const double slack = gamma(3.0 * kRoundingBlock) * size[j];
          ASSERT_EQ(q[r * k + j], scales.value(codes[r * k + j], group));
          ASSERT_EQ(static_cast<float>(q[r * k + j] - static_cast<float>(old)), static_cast<float>(d));
          const double scale = scales.scale(group), target = old + g[j] / diagonal;
          const double near = slack / diagonal / std::fabs(scale) + 4 * kUnit * 256;
          if (d != 0) {
            ++any;
            ASSERT_LT(d * (d * diagonal - 2 * g[j]), 2 * std::fabs(d) * slack);
            ASSERT_TRUE(is_nearest(f, target / scale, codes[r * k + j], near)) << r << " " << j;
          } else if (!is_nearest(f, target / scale, rows.codes.host[r * k + j], near)) {
            // Two levels: the nearest code's value may be no better.
            const float code = scales.nearest(static_cast<float>(target), group);
            const double other = scales.value(code, group) - old;
            ASSERT_GE(other * (other * diagonal - 2 * g[j]), -2 * std::fabs(other) * slack) << r << " " << j;
          }
          for (int64_t i = begin; i < end; ++i) {
            g[i] -= d * h.host[j * k + i];
            size[i] += std::fabs(d * h.host[j * k + i]);
          }
        }
        for (int64_t i = 0; i < k; ++i) {
          const bool own = i >= begin && i < end;
          ASSERT_LE(std::fabs(after[r * k + i] - g[i]), own ? gamma(3.0 * kRoundingBlock) * size[i] : 0)
              << r << " " << i;
        }
        for (int64_t j = end - begin; j < kRoundingBlock; ++j) ASSERT_EQ(moved[r * kRoundingBlock + j], 0.0f);
      }
      EXPECT_GT(any, 100);
    }
  }
}

TEST(CudaRounding, NormalEquationsAndTheirSolutions) {
  for (const Format& f : kFormats) {
    constexpr int64_t k = 300, n = 41;
    Rows rows(f, n, k, 15);
    rows.choose_and_round();
    const int64_t groups = rows.there.groups;
    Both<float> h(positive_definite(k, 8)), wanted(std::vector<float>(n * k)), product(std::vector<float>(n * k));
    Both<double> a(std::vector<double>(n * groups * groups)), b(std::vector<double>(n * groups));
    host_rounding().multiply({n, k, k, rows.w.host.data(), h.host.data(), wanted.host.data(), k, k, k, false}, {});
    wanted.put();
    NormalArgs there{rows.there, 0, product.data(), wanted.data(), a.data(), b.data()}, here = there;
    here.rows = rows.here, here.product = product.host.data(), here.wanted = wanted.host.data();
    here.a = a.host.data(), here.b = b.host.data();
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t begin = g * rows.there.group, end = std::min(k, begin + rows.there.group);
      host_rounding().multiply({n, end, end - begin, rows.codes.host.data() + begin, h.host.data() + begin,
                                product.host.data(), k, k, k, false},
                               {});
      product.put();
      there.index = here.index = g;
      kernels().normal_row(there, stream());
      host_rounding().normal_row(here, {});
      const std::vector<double> got_a = a.get(), got_b = b.get();
      for (int64_t r = 0; r < n; ++r) {
        const auto near = [&](double got, double want, const std::vector<float>& left, int64_t other) {
          double size = 0;
          for (int64_t j = other * rows.there.group; j < std::min(k, (other + 1) * rows.there.group); ++j)
            size += std::fabs(double{left[r * k + j]} * rows.codes.host[r * k + j]);
          ASSERT_LE(std::fabs(got - want), gamma(static_cast<double>(rows.there.group) + 1) * size);
        };
        const int64_t at = r * groups + g;
        for (int64_t o = 0; o <= g; ++o) near(got_a[at * groups + o], a.host[at * groups + o], product.host, o);
        near(got_b[at], b.host[at], wanted.host, g);
      }
    }
    a.put(), b.put();  // the same equations for both
    kernels().fit_scales(there, stream());
    host_rounding().fit_scales(here, {});
    const std::vector<float> got = rows.scales.get(), q = rows.q.get();
    for (size_t i = 0; i < got.size(); ++i) {  // one step of the scales' type, where a solution lies between two
      const double step = f.level[0].dtype == DType::kF16 ? 0x1p-10 : 0x1p-7;
      ASSERT_LE(std::fabs(double{got[i]} - rows.scales.host[i]), step * std::fabs(rows.scales.host[i]) + 0x1p-24);
    }
    rows.scales.host = got;
    for (int64_t r = 0; r < n; ++r) {
      const RowScales scales = rows.scales_of(r);
      for (int64_t j = 0; j < k; ++j)
        ASSERT_EQ(q[r * k + j], scales.value(rows.codes.host[r * k + j], j / rows.there.group));
    }
  }
}

TEST(CudaRounding, LossesAndTheBetterRows) {
  for (const Format& f : kFormats) {
    constexpr int64_t n = 33, k = 300;
    Rows rows(f, n, k, 16), kept(f, n, k, 17);
    rows.choose_and_round();
    kept.choose_and_round();
    Both<float> gradient(normals(n * k, 18, 0.02)), left(std::vector<float>(n * k));
    const std::vector<double> zeros(n);
    Both<double> now(zeros), best(zeros);
    kernels().residual(rows.there, left.data(), stream());
    host_rounding().residual(rows.here, left.host.data(), {});
    EXPECT_EQ(left.get(), left.host);
    kernels().losses(rows.there, gradient.data(), now.data(), stream());
    host_rounding().losses(rows.here, gradient.host.data(), now.host.data(), {});
    const std::vector<double> got = now.get();
    for (int64_t r = 0; r < n; ++r) ASSERT_NEAR(got[r], now.host[r], 1e-12);
    now.put();
    for (int64_t r = 0; r < n; ++r) best.host[r] = now.host[r] + (r % 3 - 1) * 0.1;
    best.put();
    kernels().keep_better(rows.there, kept.there, now.data(), best.data(), stream());
    host_rounding().keep_better(rows.here, kept.here, now.host.data(), best.host.data(), {});
    EXPECT_EQ(best.get(), best.host);
    for (const Rows* side : {&rows, &kept}) {
      EXPECT_EQ(side->codes.get(), side->codes.host);
      EXPECT_EQ(side->q.get(), side->q.host);
      EXPECT_EQ(side->scales.get(), side->scales.host);
      if (f.levels == 2) {
        EXPECT_EQ(side->row_scales.get(), side->row_scales.host);
      }
    }
  }
}

TEST(CudaRounding, RangesDiagonalsAndBytes) {
  constexpr int64_t rows = 201, columns = 77, stride = 80;
  Both<float> x(normals(rows * stride, 19)), range(std::vector<float>(columns, 0.1f));
  const std::vector<float> zeros(stride);
  Both<float> diagonal(zeros);
  x.host[7 * stride + 5] = NAN, x.host[8 * stride + 6] = -INFINITY;
  x.put();
  kernels().widen(x.data(), rows, columns, stride, range.data(), stream());
  host_rounding().widen(x.host.data(), rows, columns, stride, range.host.data(), {});
  const std::vector<float> got = range.get();
  EXPECT_TRUE(std::isnan(got[5]));
  for (int64_t c = 0; c < columns; ++c) {
    if (c == 5) continue;
    EXPECT_EQ(got[c], range.host[c]) << c;
  }
  kernels().take_diagonal(x.data(), stride, diagonal.data(), stream());
  const std::vector<float> there = diagonal.get();
  for (int64_t i = 0; i < stride; ++i) EXPECT_TRUE(there[i] == x.host[i * stride + i] || std::isnan(there[i]));
  Both<int32_t> flag({0});
  kernels().find_not_finite(x.data(), 7 * stride + 5, flag.data(), stream());
  EXPECT_EQ(flag.get()[0], 0);
  kernels().find_not_finite(x.data(), 7 * stride + 6, flag.data(), stream());
  EXPECT_NE(flag.get()[0], 0);
  Both<float> codes({-128, -8, 0, 7, 127});
  Both<int8_t> bytes(std::vector<int8_t>(5));
  kernels().codes_to_bytes(codes.data(), 5, bytes.data(), stream());
  EXPECT_EQ(bytes.get(), (std::vector<int8_t>{-128, -8, 0, 7, 127}));
}

}  // namespace
}  // namespace quamba2
