// SPDX-License-Identifier: Apache-2.0
// What is particular to the CPU's linear rows: integer sums to the last bit, and rows of prepared weights for `embed`.
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/table.h"
#include "kernels/linear_runner.h"
#include "ops/embed.h"

namespace quamba2::linear_test {
namespace {

// Integer sums are exact: the only roundings are of the sum to f32, of the scale, of the product and of the bias.
TEST(CpuLinear, IntegerSumsAreExact) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    const Shape shape{1 + static_cast<int32_t>(random.below(16)), 1 + static_cast<int32_t>(random.below(70)),
                      1 + static_cast<int32_t>(random.below(700))};
    const Format i8 = integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
    Problem p(shape, i8, integer_format(DType::kI8, Grain::kRow, 0, DType::kF32),
              seed % 2 ? Values::kExtremes : Values::kNormal, seed);
    p.make_outputs(true);
    for (const KernelTable* table : cpu_tables()) {
      const Kernel<LinearArgs>& row = table->linear.rows[0];
      ASSERT_EQ(row.supports(p.args).refusal, nullptr) << row.name;
      Runner runner(row, p, 1);
      const std::vector<uint8_t> bytes = runner.run(2);
      std::vector<float> got(bytes.size() / 4);
      std::memcpy(got.data(), bytes.data(), bytes.size());
      for (int64_t t = 0; t < shape.tokens; ++t) {
        for (int64_t n = 0; n < shape.outputs; ++n) {
          int64_t sum = 0;
          for (int64_t k = 0; k < shape.inner; ++k) {
            sum += static_cast<int64_t>(load_element(row_address(p.args.x.values, t), DType::kI8, k)) *
                   static_cast<int64_t>(load_element(row_address(p.args.weight.values, n), DType::kI8, k));
          }
          const float scale =
              static_cast<float>(scale_of(p.args.x, 0, 0)) * static_cast<float>(scale_of(p.args.weight, n, 0));
          float want = static_cast<float>(static_cast<int32_t>(sum)) * scale;
          want += p.args.bias.data ? static_cast<float>(load_element(p.args.bias.data, DType::kF32, n)) : 0.0f;
          ASSERT_EQ(got[static_cast<size_t>(t * shape.outputs + n)], want) << row.name << " seed " << seed;
        }
      }
    }
  }
}

TEST(CpuLinear, LargestInnerDimensionDoesNotOverflow) {
  const Format i8 = integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
  for (int sign : {-1, 1}) {
    Problem p({2, 3, 131071}, i8, integer_format(DType::kI8, Grain::kRow, 0, DType::kF32), Values::kNormal, 1);
    for (int64_t k = 0; k < 131071; ++k) {
      for (int t = 0; t < 2; ++t) store_element(row_address(p.args.x.values, t), DType::kI8, k, -128);
      for (int n = 0; n < 3; ++n)
        store_element(row_address(p.args.weight.values, n), DType::kI8, k, sign < 0 ? -128 : 127);
    }
    p.args.bias = TensorView{};
    p.make_outputs(true);
    for (const KernelTable* table : cpu_tables()) {
      Runner runner(table->linear.rows[0], p, 1);
      const std::vector<uint8_t> bytes = runner.run(1);
      float got;
      std::memcpy(&got, bytes.data(), 4);
      const double scale = scale_of(p.args.x, 0, 0) * scale_of(p.args.weight, 0, 0);
      const double want = 131071.0 * -128 * (sign < 0 ? -128 : 127) * scale;
      EXPECT_NEAR(got, want, std::abs(want) * 1e-6) << table->name;
    }
  }
}

TEST(Embed, ReadsCanonicalAndPreparedRows) {
  Random random(5);
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const bool packed = seed % 3 == 0;  // as rows of integer activations hold them
    const int32_t inner = packed ? 64 * (1 + static_cast<int32_t>(random.below(5)))
                                 : 1 + static_cast<int32_t>(random.below(300)),
                  rows = 1 + static_cast<int32_t>(random.below(50));
    const Format weight = !packed         ? random_weight(random, inner)
                          : seed % 2 == 0 ? two_level_format(32)
                                          : integer_format(DType::kI6, Grain::kGroup, 64, DType::kF16);
    Problem p({1, rows, inner}, packed ? dynamic_format() : float_format(DType::kF32), weight, Values::kNormal, seed);
    p.make_outputs(true);
    const std::vector<int32_t> ids = {rows - 1, 0, rows / 2, rows / 2, 0};
    std::vector<float> out(ids.size() * static_cast<size_t>(inner));
    EmbedArgs args;
    args.ids = {const_cast<int32_t*>(ids.data()), {5}, {1}, DType::kI32, 1};
    args.table = p.args.weight;
    args.out.values = {out.data(), {5, inner}, {inner, 1}, DType::kF32, 2};
    for (const KernelTable* table : cpu_tables()) {
      const Kernel<EmbedArgs>& row = table->embed.rows[0];
      for (int32_t r = -1; r < table->linear.count; ++r) {  // -1: the canonical table
        args.prepared = nullptr;
        args.read_row = nullptr;
        AlignedBuffer prepared;
        if (r >= 0) {
          const Kernel<LinearArgs>& linear = table->linear.rows[r];
          if (linear.supports(p.args).refusal != nullptr) continue;
          prepared = AlignedBuffer(linear.prepared_bytes(p.args));
          linear.prepare(p.args, prepared.data(), testing::test_stream(2, nullptr));
          args.prepared = prepared.data();
          args.read_row = linear.read_row;
          args.table.values.data = nullptr;  // released
        }
        ASSERT_EQ(row.supports(args).refusal, nullptr);
        std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
        row.run(args, testing::test_stream(3, nullptr));
        for (size_t i = 0; i < out.size(); ++i) {
          const size_t width = static_cast<size_t>(inner);
          const double want = decode_element(p.args.weight, ids[i / width], static_cast<int64_t>(i % width));
          ASSERT_EQ(out[i], static_cast<float>(want)) << row.name << " seed " << seed << " row " << r;
        }
        args.table = p.args.weight;
      }
    }
  }
}

}  // namespace
}  // namespace quamba2::linear_test
