// SPDX-License-Identifier: Apache-2.0
// Every linear row of every table under test, on random problems: results within a derived bound of exact arithmetic,
// equal bits however often and with how many threads, nothing written outside, prepared weights readable.
#include "ops/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "kernels/linear_problem.h"
#include "kernels/linear_runner.h"

namespace quamba2::linear_test {
namespace {

// Rows that split floats into integers: of three limbs, all with the magnitude of the number or below, sums over groups are
// rounded; and what the limbs leave is at most 2^-22.99 of the token's largest.
bool in_limbs(const std::string& row) {
  return (row.starts_with("linear_w4a16_") || row.starts_with("linear_w6a16_")) && row.find("_float_") == row.npos &&
         !row.ends_with("_cuda");
}

// What rounding of factors to 16 bits leaves of a product, relative (docs/numerics.md, "Tensor cores"). Up to 16 tokens the
// activations have two parts.
double tensor_core_error(const std::string& row, int32_t tokens) {
  if (!row.ends_with("_cuda")) return 0;
  const bool six = row == "linear_w6a16_cuda";
  if (row == "linear_bf16_cuda") return tokens <= 8 ? 0x1p-16 : 0x1.02p-8;
  if (row == "linear_f16_cuda" || row == "linear_w8a16_cuda" || six) return tokens <= 8 || six ? 0x1p-22 : 0x1.02p-11;
  return row == "linear_w4a16_cuda" ? tokens <= 8 ? 0x1p-22 : 0x1.02p-10 : 0;
}

// The difference that a result may have: K + 8 roundings of at most |x w| each, and underflow of each product.
double bound_of(const Problem& p, size_t i, const std::string& row) {
  const bool limbs = in_limbs(row), device = row.ends_with("_cuda");
  // Tensor cores cut what they add where others round.
  const double u = device ? 0x1p-23 : 0x1p-24, inner = p.args.x.values.dim[1];
  double n = inner + 8;
  if (limbs) {
    const ScaleLevel& level = p.args.weight.format.level[0];
    n = 3 * ((level.grain == Grain::kGroup ? std::ceil(inner / level.group) : 1) + 8);
  }
  double left = limbs ? 0x1.02p-23 * p.by_largest[i] : 0;
  const double cut = tensor_core_error(row, p.args.x.values.dim[0]);
  if (cut > 0) left = cut * p.magnitude[i] + 0x1p-36 * p.by_largest[i];
  return n * u / (1 - n * u) * p.magnitude[i] + left + n * 0x1p-149 * std::max(1.0f, p.largest_scale * 128);
}

std::string check_element(const Problem& p, const Operand& part, int64_t t, int64_t n, int64_t begin,
                          const std::string& row) {
  const size_t i = static_cast<size_t>(t * p.args.weight.values.dim[0] + n);
  const double exact = p.exact[i], bound = bound_of(p, i, row);
  const double got = load_element(row_address(part.values, t), part.values.dtype, n - begin);
  bool good;
  double want = exact;
  if (part.format.levels == 0) {
    const double rounding = part.values.dtype == DType::kBF16 ? std::abs(exact) * 0x1p-8 + 0x1p-133 : 0;
    good = std::abs(got - exact) <= bound + rounding * 1.01;
  } else {
    const double scale = scale_of(part, t, n - begin);
    const double steps = scale == 0 ? 0 : exact / scale,
                 slack = scale == 0 ? 0 : bound / scale + std::abs(steps) * 0x1p-21;
    const auto encode_steps = [](double s) { return std::clamp(std::nearbyint(s), -128.0, 127.0); };
    want = encode_steps(steps);
    good = got >= encode_steps(steps - slack) && got <= encode_steps(steps + slack) && std::abs(got - want) <= 1;
  }
  if (good) return "";
  return "t " + std::to_string(t) + " n " + std::to_string(n) + " " + format_text(part.format) + ": got " +
         std::to_string(got) + ", want " + std::to_string(want) + ", bound " + std::to_string(bound) + ", exact " +
         std::to_string(exact);
}

std::string check_results(const Problem& p, const std::string& row) {
  for (int i = 0; i < p.args.out.count; ++i) {
    for (int64_t t = 0; t < p.args.x.values.dim[0]; ++t) {
      for (int64_t n = p.args.out.begin[i]; n < p.args.out.begin[i + 1]; ++n) {
        const std::string failure = check_element(p, p.args.out.part[i], t, n, p.args.out.begin[i], row);
        if (!failure.empty()) return failure;
      }
    }
  }
  return "";
}

// The same rows one at a time, and in two runs, must give the same bits.
void check_row_counts(Runner& runner, const std::vector<uint8_t>& all, const std::string& what) {
  const LinearArgs whole = runner.problem.args;
  const int32_t tokens = whole.x.values.dim[0];
  const size_t row_bytes = all.size() / static_cast<size_t>(tokens);
  const auto run_rows = [&](int32_t begin, int32_t count) {
    LinearArgs& args = runner.problem.args;
    args = whole;
    args.x.values.data = row_address(whole.x.values, begin);
    args.x.values.dim[0] = count;
    if (args.x.format.dynamic) args.x.scales[0].data = static_cast<float*>(whole.x.scales[0].data) + begin;
    for (int i = 0; i < args.out.count; ++i) args.out.part[i].values.dim[0] = count;
    const std::vector<uint8_t> some = runner.run(1 + begin % 2);
    const bool same = std::memcmp(some.data(), all.data() + static_cast<size_t>(begin) * row_bytes, some.size()) == 0;
    if (!same)
      ADD_FAILURE() << what << ": rows " << begin << " + " << count << " differ from the same rows in " << tokens;
    runner.problem.args = whole;
  };
  for (int32_t t = 0; t < std::min(tokens, 3); ++t) run_rows(t, 1);
  run_rows(tokens - 1, 1);
  if (tokens > 2) run_rows(1, tokens / 2);
}

void check_read_row(Runner& runner) {
  const Operand& w = runner.problem.args.weight;
  const int32_t inner = w.values.dim[1];
  std::vector<float> row(static_cast<size_t>(inner) + 1);
  for (int32_t n = 0; n < w.values.dim[0]; ++n) {
    row.back() = -77.0f;
    runner.row.read_row(w, runner.prepared.data(), n, row.data());
    ASSERT_EQ(row.back(), -77.0f);
    for (int32_t k = 0; k < inner; ++k) {
      ASSERT_EQ(row[static_cast<size_t>(k)], static_cast<float>(decode_element(w, n, k)))
          << runner.row.name << " " << n << " " << k;
    }
  }
}

std::map<std::string, int> runs;

void check_problem(Shape shape, Format x, Format weight, Values values, uint64_t seed) {
  Problem problem(shape, x, weight, values, seed);
  problem.make_outputs(values == Values::kTiny || values == Values::kHuge);
  const std::string what = "T " + std::to_string(shape.tokens) + " N " + std::to_string(shape.outputs) + " K " +
                           std::to_string(shape.inner) + " x " + format_text(x) + " w " + format_text(weight) +
                           " values " + std::to_string(static_cast<int>(values)) + " seed " + std::to_string(seed);
  for (const KernelTable* table : testing::under_test().tables) {
    bool first = true;
    for (int32_t r = 0; r < table->linear.count; ++r) {
      const Kernel<LinearArgs>& row = table->linear.rows[r];
      if (row.supports(problem.args).refusal != nullptr) continue;
      ++runs[row.name];
      Runner runner(row, problem, 1 + static_cast<int>(seed % static_cast<uint64_t>(testing::under_test().variants)));
      const std::vector<uint8_t> bits = runner.run(1);
      const std::string failure = check_results(problem, row.name);
      if (!failure.empty()) ADD_FAILURE() << row.name << ", " << what << ": " << failure;
      for (int variant = 2; variant <= testing::under_test().variants; ++variant) {
        if (variant == 3 && seed % 4 != 0) continue;
        EXPECT_EQ(runner.run(variant), bits) << row.name << ", " << what << ", variant " << variant;
      }
      // A device may add up in another order for other numbers of rows.
      if (!testing::under_test().device) check_row_counts(runner, bits, std::string(row.name) + ", " + what);
      if (row.read_row) check_read_row(runner);
      first = false;
    }
    EXPECT_FALSE(first) << table->name << " has no row for " << what;
  }
}

Format random_activation(Random& random) {
  switch (random.below(10)) {
    case 8:
    case 9: return dynamic_format();
    case 0: return float_format(DType::kF16);
    case 1: return float_format(DType::kBF16);
    case 2:
    case 3:
    case 4: return integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
    case 5: return integer_format(DType::kI8, Grain::kColumn, 0, DType::kF32);
    default: return float_format(DType::kF32);
  }
}

Values random_values(Random& random, const Format& x, const Format& weight) {
  if (weight.levels == 2) return random.below(2) == 0 ? Values::kNormal : Values::kExtremes;
  const Values all[] = {Values::kNormal,     Values::kNormal, Values::kExtremes,
                        Values::kZeroScales, Values::kTiny,   Values::kHuge};
  const bool f16 = x.storage == DType::kF16 || weight.storage == DType::kF16;  // 65504 is its largest
  return all[random.below(f16 ? 3 : 6)];
}

TEST(Linear, SmallShapes) {
  Random random(20);
  for (uint64_t seed = 1; seed <= 250; ++seed) {
    const Shape shape{1 + static_cast<int32_t>(random.below(20)), 1 + static_cast<int32_t>(random.below(40)),
                      1 + static_cast<int32_t>(random.below(40))};
    const Format x = random_activation(random), weight = random_weight(random, shape.inner);
    check_problem(shape, x, weight, random_values(random, x, weight), seed);
    if (HasFailure()) return;
  }
}

TEST(Linear, PanelsAndTiles) {  // several panels, row blocks, decode blocks and groups
  Random random(21);
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Shape shape{1 + static_cast<int32_t>(random.below(50)), 30 + static_cast<int32_t>(random.below(300)),
                      100 + static_cast<int32_t>(random.below(500))};
    const Format x = random_activation(random), weight = random_weight(random, shape.inner);
    check_problem(shape, x, weight, random_values(random, x, weight), seed);
    if (HasFailure()) return;
  }
  const Format f32 = float_format(DType::kF32), i8 = integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
  check_problem({470, 40, 37}, f32, integer_format(DType::kI4, Grain::kGroup, 8, DType::kF16), Values::kNormal, 1);
  check_problem({470, 40, 37}, i8, integer_format(DType::kI8, Grain::kRow, 0, DType::kF32), Values::kExtremes, 2);
}

TEST(Linear, RealisticShapes) {
  const Format f32 = float_format(DType::kF32), i8 = integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
  check_problem({17, 2320, 512}, f32, float_format(DType::kBF16), Values::kNormal, 1);
  check_problem({17, 2320, 512}, f32, integer_format(DType::kI4, Grain::kGroup, 128, DType::kF16), Values::kNormal, 2);
  check_problem({17, 512, 1024}, i8, integer_format(DType::kI8, Grain::kRow, 0, DType::kF32), Values::kExtremes, 3);
  check_problem({5, 100, 2560}, f32, integer_format(DType::kI6, Grain::kGroup, 128, DType::kF16), Values::kNormal, 4);
  check_problem({5, 100, 2560}, i8, two_level_format(128), Values::kExtremes, 5);
  check_problem({17, 512, 1024}, dynamic_format(), integer_format(DType::kI8, Grain::kRow, 0, DType::kF32),
                Values::kNormal, 6);
  check_problem({5, 100, 2560}, dynamic_format(), two_level_format(128), Values::kExtremes, 7);
}

// What the packed integer rows take: groups in multiples of 32 (W4A8), 16 (INT6) and 8 (INT4), whole panels and parts.
TEST(Linear, PackedIntegerWeights) {
  const Format i8 = integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
  Random random(22);
  for (uint64_t seed = 1; seed <= 80; ++seed) {
    const int32_t inner = 64 * (1 + static_cast<int32_t>(random.below(9)));
    const Shape shape{1 + static_cast<int32_t>(random.below(20)), 1 + static_cast<int32_t>(random.below(150)), inner};
    const int group = 64 * (1 + static_cast<int>(random.below(3)));
    const DType scale = random.below(2) ? DType::kF16 : DType::kF32;
    const Format weights[] = {two_level_format(group / 2), integer_format(DType::kI6, Grain::kGroup, group / 4, scale),
                              integer_format(DType::kI6, Grain::kGroup, group, DType::kF16),
                              integer_format(DType::kI4, Grain::kGroup, group / 8, DType::kF16)};
    const Format weight = weights[seed % 4];
    const Format x = seed % 4 >= 2     ? float_format(random.below(2) ? DType::kF32 : DType::kBF16)
                     : random.below(2) ? i8
                                       : dynamic_format();
    check_problem(shape, x, weight, random_values(random, x, weight), seed);
    if (HasFailure()) return;
  }
}

// What the GPU keeps in fragments: groups of 64 and more, K and tokens around the sizes of its tiles and blocks.
TEST(Linear, Fragments) {
  const Format f32 = float_format(DType::kF32), i8 = integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
  const Format weights[] = {two_level_format(128),
                            two_level_format(64),
                            integer_format(DType::kI4, Grain::kGroup, 64, DType::kF16),
                            integer_format(DType::kI6, Grain::kGroup, 64, DType::kF16),
                            integer_format(DType::kI8, Grain::kRow, 0, DType::kF32),
                            float_format(DType::kBF16),
                            float_format(DType::kF16)};
  const Shape shapes[] = {{1, 40, 640},    {7, 17, 200},    {9, 130, 192},   {16, 33, 512},
                          {24, 130, 2176}, {64, 136, 1600}, {65, 136, 1088}, {130, 150, 1088},
                          {260, 20, 130},  {64, 136, 1280}, {33, 260, 5120}, {50, 200, 768}};
  uint64_t seed = 100;
  for (const Format& weight : weights) {
    for (const Shape& shape : shapes) {
      for (const Format& x : {f32, i8, dynamic_format()}) {
        check_problem(shape, x, weight, seed % 3 == 0 ? Values::kExtremes : Values::kNormal, seed);
        ++seed;
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Linear, RefusesWithReasons) {
  const Format f32 = float_format(DType::kF32);
  Problem p({2, 8, 8}, f32, float_format(DType::kF32), Values::kNormal, 1);
  p.make_outputs(true);
  p.args.out.part[0].format = integer_format(DType::kI4, Grain::kTensor, 0, DType::kF32);
  for (const KernelTable* table : testing::under_test().tables) {
    for (int32_t r = 0; r < table->linear.count; ++r)
      EXPECT_NE(table->linear.rows[r].supports(p.args).refusal, nullptr);
  }
}

// Last in this file: every row must have been exercised above.
TEST(Linear, ZEveryRowWasExercised) {
  if (runs.empty()) GTEST_SKIP() << "needs the other cases in the same run";
  for (const KernelTable* table : testing::under_test().tables) {
    for (int32_t r = 0; r < table->linear.count; ++r)
      EXPECT_GT(runs[table->linear.rows[r].name], 0) << table->linear.rows[r].name;
  }
}

}  // namespace
}  // namespace quamba2::linear_test
