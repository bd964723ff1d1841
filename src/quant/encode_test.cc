// SPDX-License-Identifier: Apache-2.0
#include "quant/encode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

void run_serially(void*, void (*task)(void*, int), void* context) { task(context, 0); }
void run_twice(void*, void (*task)(void*, int), void* context) { task(context, 1), task(context, 0); }
const Stream kSerial{run_serially, nullptr, 1, nullptr};
const Stream kTwo{run_twice, nullptr, 2, nullptr};

Format format_of(DType storage, Grain grain, int16_t group, DType scale) {
  Format f;
  f.storage = storage;
  f.levels = 1;
  f.level[0] = {grain, group, scale};
  return f;
}

const Format kFormats[] = {
    format_of(DType::kI8, Grain::kRow, 0, DType::kF32), format_of(DType::kI4, Grain::kGroup, 128, DType::kF16),
    format_of(DType::kI4, Grain::kGroup, 7, DType::kF32), format_of(DType::kI6, Grain::kGroup, 128, DType::kF16),
    format_of(DType::kI6, Grain::kRow, 0, DType::kF32)};

std::vector<float> random_weights(int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> w(static_cast<size_t>(n));
  for (float& v : w) v = static_cast<float>(0.02 * random.normal());
  return w;
}

double squared_error(const Weight& weight, const std::vector<float>& values) {
  const std::vector<float> got = decode_weight(weight);
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) sum += std::pow(got[i] - values[i], 2);
  return sum;
}

TEST(EncodeWeight, ErrorsStayWithinHalfAStepOrTheClip) {
  for (const Format& f : kFormats) {
    for (int64_t columns : {1, 5, 128, 130, 300}) {
      const std::vector<float> w = random_weights(3 * columns, 1);
      const Weight e = encode_weight("w", {3, columns}, w, f, ScaleChoice::kLargest, kSerial);
      const std::vector<float> got = decode_weight(e);
      for (size_t i = 0; i < w.size(); ++i) {
        const auto row = static_cast<int64_t>(i) / columns, column = static_cast<int64_t>(i) % columns;
        const double step = scale_of(e.operand(), row, column);
        // The largest magnitude of a packed group lies half a step beyond the highest code; F16 scales round by 2^-11.
        EXPECT_LE(std::fabs(got[i] - w[i]), 0.5 * step * 1.02) << format_text(f) << " " << i;
      }
    }
  }
}

TEST(EncodeWeight, LeastSquaresIsNeverWorse) {
  for (const Format& f : kFormats) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const std::vector<float> w = random_weights(4 * 300, seed);
      const double plain = squared_error(encode_weight("w", {4, 300}, w, f, ScaleChoice::kLargest, kSerial), w);
      const double searched = squared_error(encode_weight("w", {4, 300}, w, f, ScaleChoice::kLeastSquares, kSerial), w);
      EXPECT_LE(searched, plain * (1 + 1e-6)) << format_text(f);
      if (f.storage == DType::kI4 && f.level[0].group == 128) {
        EXPECT_LT(searched, 0.95 * plain);
      }
    }
  }
}

TEST(EncodeWeight, ZerosAndTinyAndHugeNumbersAreSafe) {
  for (const Format& f : kFormats) {
    for (float v : {0.0f, 1e-30f, 1e-7f, 3e38f, -3e38f}) {
      for (ScaleChoice choice : {ScaleChoice::kLargest, ScaleChoice::kLeastSquares}) {
        std::vector<float> w(260, 0.0f);
        w[3] = v;
        for (float got : decode_weight(encode_weight("w", {2, 130}, w, f, choice, kSerial)))
          EXPECT_TRUE(std::isfinite(got)) << v;
      }
    }
  }
}

TEST(EncodeWeight, ThreadsChangeNothing) {
  for (const Format& f : kFormats) {
    const std::vector<float> w = random_weights(5 * 130, 9);
    const Weight a = encode_weight("w", {5, 130}, w, f, ScaleChoice::kLeastSquares, kSerial);
    const Weight b = encode_weight("w", {5, 130}, w, f, ScaleChoice::kLeastSquares, kTwo);
    EXPECT_EQ(decode_weight(a), decode_weight(b));
  }
}

}  // namespace
}  // namespace quamba2
