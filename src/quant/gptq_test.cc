// SPDX-License-Identifier: Apache-2.0
#include "quant/gptq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "base/random.h"
#include "quamba2/error.h"
#include "quant/recipes/formats.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

std::vector<float> random_numbers(int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& v : out) v = static_cast<float>(random.normal());
  return out;
}

// Inputs [rows, k] in which neighbouring columns go together, and some are much larger than others.
std::vector<float> correlated_inputs(int64_t rows, int64_t k, uint64_t seed) {
  std::vector<float> x = random_numbers(rows * k, seed);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 1; j < k; ++j) x[static_cast<size_t>(r * k + j)] += 0.8f * x[static_cast<size_t>(r * k + j - 1)];
    for (int64_t j = 0; j < k; j += 9) x[static_cast<size_t>(r * k + j)] *= 4.0f;
  }
  return x;
}

// Sum over inputs of |x (w - q)^T|^2, from the stored weight.
double loss(const Weight& q, const std::vector<float>& w, const std::vector<float>& x, int64_t k) {
  const std::vector<float> decoded = decode_weight(q);
  double sum = 0;
  for (size_t t = 0; t < x.size(); t += static_cast<size_t>(k)) {
    for (size_t r = 0; r < w.size(); r += static_cast<size_t>(k)) {
      double y = 0;
      for (size_t j = 0; j < static_cast<size_t>(k); ++j)
        y += static_cast<double>(x[t + j]) * static_cast<double>(w[r + j] - decoded[r + j]);
      sum += y * y;
    }
  }
  return sum;
}

const Format kFormats[] = {
    i8_row(),      i4_group(128),      i4_group(32),      i4_group(20),
    i6_group(128), i4_two_levels(128), i4_two_levels(32), integer_format(DType::kI4, Grain::kRow)};

class Gptq : public ::testing::TestWithParam<int64_t> {
 protected:
  std::shared_ptr<const Backend> backend_ = make_cpu_backend(2);
  Dense dense_{*backend_};
};

TEST_P(Gptq, GramIsTheSumOfProducts) {
  const int64_t k = GetParam(), rows = 77;
  const std::vector<float> x = random_numbers(rows * k, 1);
  Hessian h(k);
  h.add(&dense_, x.data(), rows);
  for (int64_t i = 0; i < k; i += 7) {
    for (int64_t j = 0; j < k; ++j) {
      double want = 0, size = 0;
      for (int64_t t = 0; t < rows; ++t) {
        const double p = static_cast<double>(x[static_cast<size_t>(t * k + i)]) * x[static_cast<size_t>(t * k + j)];
        want += p, size += std::fabs(p);
      }
      EXPECT_NEAR(h.sum[static_cast<size_t>(i * k + j)], want, 77 * 1.2e-7 * size) << i << ", " << j;
    }
  }
}

// With inputs that have nothing to do with each other there is nothing to compensate: GPTQ is rounding to nearest.
TEST_P(Gptq, EqualsNearestForADiagonalHessian) {
  const int64_t k = GetParam(), n = 9;
  const std::vector<float> w = random_numbers(n * k, 2);
  Hessian h(k);
  for (int64_t i = 0; i < k; ++i) h.sum[static_cast<size_t>(i * k + i)] = 1.0f + 0.1f * static_cast<float>(i % 5);
  for (const Format& format : kFormats) {
    for (bool act_order : {false, true}) {
      const GptqOptions options{
          .damp = 0.01, .act_order = act_order, .refinements = 0, .scales = ScaleChoice::kLargest};
      const Weight a = gptq_encode("w", {n, k}, w, format, h, options, &dense_, nullptr);
      const Weight b = encode_weight("w", {n, k}, w, format, ScaleChoice::kLargest, backend_->stream());
      EXPECT_EQ(decode_weight(a), decode_weight(b)) << format_text(format);
    }
  }
}

// It is greedy, so one seed proves nothing: the losses of several are added up.
TEST_P(Gptq, BeatsNearestAndRefinementBeatsGptq) {
  const int64_t k = GetParam(), n = 24;
  if (k < 16) return;
  for (const Format& format : kFormats) {
    double nearest = 0, gptq = 0, refined = 0;
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const std::vector<float> w = random_numbers(n * k, seed), x = correlated_inputs(256, k, 100 + seed);
      Hessian h(k);
      h.add(&dense_, x.data(), 256);
      GptqOptions options{.damp = 0.01, .act_order = true, .refinements = 0, .scales = ScaleChoice::kLeastSquares};
      nearest += loss(encode_weight("w", {n, k}, w, format, options.scales, backend_->stream()), w, x, k);
      gptq += loss(gptq_encode("w", {n, k}, w, format, h, options, &dense_, nullptr), w, x, k);
      options.refinements = 3;
      refined += loss(gptq_encode("w", {n, k}, w, format, h, options, &dense_, nullptr), w, x, k);
    }
    EXPECT_LT(gptq, 0.9 * nearest) << format_text(format);
    EXPECT_LT(refined, gptq) << format_text(format);
  }
}

TEST_P(Gptq, DeadInputsAndSingularHessiansAreDamped) {
  const int64_t k = GetParam(), n = 5;
  const std::vector<float> w = random_numbers(n * k, 3);
  std::vector<float> x = random_numbers(k, 4);  // one input: rank 1
  x[0] = 0;
  Hessian h(k);
  h.add(&dense_, x.data(), 1);
  GptqReport report;
  const Weight q = gptq_encode("w", {n, k}, w, i4_group(128), h, {.damp = 0}, &dense_, &report);
  for (float v : decode_weight(q)) ASSERT_TRUE(std::isfinite(v));
  Hessian nothing(k);
  for (float v : decode_weight(gptq_encode("w", {n, k}, w, i4_group(128), nothing, {}, &dense_, nullptr)))
    ASSERT_TRUE(std::isfinite(v));
}

TEST_P(Gptq, InputsThatAreNotFiniteAreRefusedByName) {
  const int64_t k = GetParam();
  Hessian h(k);
  h.sum[0] = INFINITY;
  try {
    gptq_encode("layers.3.in_proj", {1, k}, random_numbers(k, 1), i4_group(128), h, {}, &dense_, nullptr);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kRuntime);
    EXPECT_NE(std::string(e.what()).find("layers.3.in_proj"), std::string::npos) << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, Gptq, ::testing::Values(1, 5, 48, 129, 300));

}  // namespace
}  // namespace quamba2
