// SPDX-License-Identifier: Apache-2.0
// rms_norm, layer_norm and gated_rms_norm of every level against the references.
#include "support/kernel_harness.h"

namespace quamba2::testing {
namespace {

struct NormProblem {
  int32_t rows = 7, width = 96;
  Spec x, out;
  bool weight = true, in_place = false;
  double eps = 1e-5;
  int32_t groups = 1;
  bool norm_before_gate = false;
};

// A realistic row, each further one with one change, and all small sizes.
std::vector<NormProblem> norm_problems() {
  std::vector<NormProblem> all;
  for (int32_t width = 1; width <= 70; ++width) {
    NormProblem p;
    p.rows = 1 + width % 3;
    p.width = width;
    p.x.storage = width % 2 ? DType::kF32 : DType::kI8;
    p.out.storage = width % 3 ? DType::kF32 : DType::kI8;
    all.push_back(p);
  }
  const NormProblem base = [] {
    NormProblem p;
    p.rows = 23;
    p.width = 768;
    return p;
  }();
  const auto changed = [&](auto change) {
    NormProblem p = base;
    change(p);
    all.push_back(p);
  };
  changed([](NormProblem&) {});
  changed([](NormProblem& p) { p.weight = false; });
  changed([](NormProblem& p) { p.in_place = true; });
  changed([](NormProblem& p) { p.eps = 1e-12; });
  changed([](NormProblem& p) { p.x.mean = 100; });
  changed([](NormProblem& p) { p.width = 2561; });
  changed([](NormProblem& p) { p.x.misalign = 1, p.out.misalign = 3, p.x.row_pad = 5, p.out.row_pad = 1; });
  for (Values values : {Values::kZero, Values::kHugeChannel, Values::kDenormal, Values::kEnds}) {
    changed([&](NormProblem& p) { p.x.values = values; });
  }
  for (Grain grain : {Grain::kTensor, Grain::kColumn, Grain::kRow}) {
    changed([&](NormProblem& p) { p.x.storage = DType::kI8, p.x.grain = grain, p.x.clip = 0.3; });
    changed([&](NormProblem& p) { p.out.storage = DType::kI8, p.out.grain = grain, p.out.misalign = 1; });
  }
  for (Values values : {Values::kZero, Values::kHugeChannel, Values::kDenormal}) {
    changed([&](NormProblem& p) { p.x.values = values, p.out.storage = DType::kI8, p.out.grain = Grain::kRow; });
  }
  changed([](NormProblem& p) {
    p.x.storage = p.out.storage = DType::kI8, p.x.grain = p.out.grain = Grain::kRow, p.in_place = true;
  });
  changed([](NormProblem& p) { p.x.storage = DType::kBF16, p.out.storage = DType::kF16; });
  return all;
}

template <class Args>
void check_norm(KernelTest<Args>& test, const NormProblem& p, uint64_t seed) {
  auto space = std::make_shared<Workspace>(seed);
  Args args;
  args.x = space->operand({p.rows, p.width}, p.x);
  args.out = p.in_place ? args.x : space->output({p.rows, p.width}, p.out);
  if (p.weight) args.weight = space->floats({p.width}, 1, 0.3, 1);
  if constexpr (requires { args.bias; }) {
    if (p.weight) args.bias = space->floats({p.width}, 0, 0.3);
  }
  args.eps = p.eps;
  test.check("norm " + std::to_string(seed), seed, space, args, 0.9, p.in_place);
}

// What the harness must find where a kernel computes scales.
TEST(KernelHarness, AWrongScaleOfARowIsFound) {
  Workspace space(3);
  Spec spec;
  spec.storage = DType::kI8, spec.grain = Grain::kRow;
  const Operand out = space.output({2, 4}, spec);
  const std::vector<double> exact = {1, -2, 0.5, 0, 3, 0, -1, 2};
  encode(exact, out);
  const Expected expected = {out, true, exact, std::vector<double>(8, 1e-7)};
  RowCount count;
  EXPECT_EQ(compare_scales(expected), "");
  EXPECT_EQ(compare(expected, decode(out), &count), "");
  static_cast<float*>(out.scales[0].data)[1] *= 1.0001f;
  EXPECT_NE(compare_scales(expected), "");
  encode(exact, out);
  static_cast<int8_t*>(out.values.data)[1] = 126;
  EXPECT_NE(compare(expected, decode(out), &count), "");
}

TEST(Norm, RmsNormMatchesTheReference) {
  KernelTest<RmsNormArgs> test;
  uint64_t seed = 0;
  for (const NormProblem& p : norm_problems()) check_norm(test, p, ++seed);
  test.finish();
}

TEST(Norm, LayerNormMatchesTheReference) {
  KernelTest<LayerNormArgs> test;
  uint64_t seed = 1000;
  for (const NormProblem& p : norm_problems()) check_norm(test, p, ++seed);
  test.finish();
}

TEST(Norm, GatedRmsNormMatchesTheReference) {
  KernelTest<GatedRmsNormArgs> test;
  uint64_t seed = 2000;
  std::vector<NormProblem> problems = norm_problems();
  NormProblem grouped = problems.back();
  grouped.width = 760, grouped.x = Spec{}, grouped.out = Spec{};
  for (int32_t groups : {2, 8, 40}) {
    grouped.groups = groups;
    problems.push_back(grouped);
    NormProblem dynamic = grouped;
    dynamic.out.storage = DType::kI8, dynamic.out.grain = Grain::kRow;
    problems.push_back(dynamic);
  }
  for (const NormProblem& p : problems) {
    for (bool before : {false, true}) {
      auto space = std::make_shared<Workspace>(++seed);
      GatedRmsNormArgs args;
      args.y = space->operand({p.rows, p.width}, p.x);
      Spec z = p.x;
      z.spread = 8;
      args.z = space->operand({p.rows, p.width}, z);
      args.out = p.in_place ? args.y : space->output({p.rows, p.width}, p.out);
      if (p.weight) args.weight = space->floats({p.width}, 1, 0.3, 1);
      args.eps = p.eps;
      args.groups = p.groups;
      args.norm_before_gate = before;
      test.check(before ? "norm before gate" : "norm after gate", seed, space, args, 0.9, p.in_place);
    }
  }
  test.finish();
}

// The fused forms, where a table has rows that take them.
template <class Args>
bool is_taken(const Args& args) {
  for (const KernelTable* table : under_test().tables) {
    const KernelRows<Args> rows = rows_of(*table, args);
    for (int32_t r = 0; r < rows.count; ++r) {
      if (!rows.rows[r].supports(args).refusal) return true;
    }
  }
  return false;
}

TEST(Norm, RmsNormOfASumMatchesTheReference) {
  KernelTest<RmsNormArgs> test;
  uint64_t seed = 2500;
  bool taken = true;
  for (const int32_t width : {1, 7, 64, 66, 768, 2560, 2561}) {
    for (const Grain grain : {Grain::kTensor, Grain::kColumn, Grain::kRow}) {
      {
        auto space = std::make_shared<Workspace>(++seed);
        Spec floats, codes;
        floats.row_pad = width % 2 ? 3 : 4;
        if (grain != Grain::kTensor) codes.storage = DType::kI8, codes.grain = grain;
        RmsNormArgs args;
        args.x = space->operand({5, width}, floats);
        args.addend = space->operand({5, width}, floats);
        args.sum = space->output({5, width}, floats);
        args.weight = space->floats({width}, 1, 0.3);
        args.out = space->output({5, width}, codes);
        taken = is_taken(args);
        if (taken) test.check("sum", seed, space, args);
      }
    }
  }
  if (!taken) GTEST_SKIP() << "no table under test has such a row";
  test.finish();
}

TEST(Norm, RotatedGatesMatchTheReference) {
  KernelTest<GatedRmsNormArgs> norms;
  KernelTest<GateArgs> gates;
  uint64_t seed = 2700;
  bool taken = true;
  for (const int32_t width : {1, 12, 56, 64, 768, 1536, 1792, 2048, 3072, 4096, 5120, 8192}) {
    for (const Rotation rotation : {Rotation::kHadamard, Rotation::kTransposedHadamard}) {
      for (const Grain grain : {Grain::kGroup, Grain::kTensor, Grain::kColumn, Grain::kRow}) {
        auto space = std::make_shared<Workspace>(++seed);
        Spec out;
        if (grain != Grain::kGroup) out.storage = DType::kI8, out.grain = grain;
        GatedRmsNormArgs norm;
        Spec z;
        if (grain == Grain::kRow) z.storage = DType::kI8, z.grain = Grain::kColumn;
        // A GPU has a kernel for few rows, and one for more than it has multiprocessors.
        const bool many = under_test().device != nullptr && width > 1024 && grain == Grain::kRow &&
                          rotation == Rotation::kTransposedHadamard;
        const int32_t rows = many ? 140 : 3;
        norm.y = space->operand({rows, width}, {});
        norm.z = space->operand({rows, width}, z);
        norm.weight = space->floats({width}, 1, 0.3);
        norm.out = space->output({rows, width}, out);
        norm.groups = width % 8 == 0 && rotation == Rotation::kHadamard ? 4 : 1;
        norm.norm_before_gate = grain == Grain::kColumn;
        norm.rotation = rotation;
        const GateArgs gate = {norm.y, norm.z, norm.out, rotation};
        taken = is_taken(norm) && is_taken(gate);
        if (!taken) continue;
        norms.check("rotated norm", seed, space, norm);
        if (!many) gates.check("rotated gate", seed, space, gate);
      }
    }
  }
  if (!taken) GTEST_SKIP() << "no table under test has such a row";
  norms.finish();
  gates.finish();
}

}  // namespace
}  // namespace quamba2::testing
