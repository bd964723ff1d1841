// SPDX-License-Identifier: Apache-2.0
// hadamard of every level against the reference.
#include "support/kernel_harness.h"

namespace quamba2::testing {
namespace {

struct Problem {
  int32_t rows = 3, width = 96;
  Spec x, out;
  bool in_place = false;
};

// All widths that have one up to 128, widths of models, and a realistic row with one change each.
std::vector<Problem> problems() {
  std::vector<Problem> all;
  for (int32_t width :
       {1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 768, 1792, 2560, 5120, 8192}) {
    Problem p;
    p.rows = 1 + width % 3;
    p.width = width;
    all.push_back(p);
  }
  const auto changed = [&](auto change) {
    Problem p;
    p.rows = 23, p.width = 1536;
    change(p);
    all.push_back(p);
  };
  changed([](Problem&) {});
  changed([](Problem& p) { p.in_place = true; });
  changed([](Problem& p) { p.x.misalign = 1, p.out.misalign = 3, p.x.row_pad = 5, p.out.row_pad = 1; });
  for (Values values : {Values::kZero, Values::kHugeChannel, Values::kDenormal, Values::kEnds}) {
    changed([&](Problem& p) { p.x.values = values; });
  }
  for (Grain grain : {Grain::kTensor, Grain::kColumn, Grain::kRow}) {
    changed([&](Problem& p) { p.x.storage = DType::kI8, p.x.grain = grain, p.x.clip = 0.3; });
    changed([&](Problem& p) { p.out.storage = DType::kI8, p.out.grain = grain, p.out.misalign = 1; });
  }
  for (Values values : {Values::kZero, Values::kDenormal}) {
    changed([&](Problem& p) { p.x.values = values, p.out.storage = DType::kI8, p.out.grain = Grain::kRow; });
  }
  changed([](Problem& p) {
    p.x.storage = p.out.storage = DType::kI8, p.x.grain = p.out.grain = Grain::kRow, p.in_place = true;
  });
  changed([](Problem& p) { p.x.storage = DType::kBF16, p.out.storage = DType::kF16; });
  return all;
}

TEST(Hadamard, MatchesTheReference) {
  KernelTest<HadamardArgs> test;
  uint64_t seed = 7000;
  for (const Problem& p : problems()) {
    for (bool transposed : {false, true}) {
      auto space = std::make_shared<Workspace>(++seed);
      HadamardArgs args;
      args.x = space->operand({p.rows, p.width}, p.x);
      args.out = p.in_place ? args.x : space->output({p.rows, p.width}, p.out);
      args.transposed = transposed;
      test.check(transposed ? "transposed" : "plain", seed, space, args, 0.9, p.in_place);
    }
  }
  test.finish();
}

TEST(Hadamard, OtherWidthsAreRefused) {
  HadamardArgs args;
  args.x.values.dim[1] = args.out.values.dim[1] = 36;
  for (const KernelTable* table : under_test().tables)
    EXPECT_NE(table->hadamard.rows[0].supports(args).refusal, nullptr);
}

}  // namespace
}  // namespace quamba2::testing
