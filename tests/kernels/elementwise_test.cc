// SPDX-License-Identifier: Apache-2.0
// gate, add, convert and select_rows of every level against the references.
#include "support/kernel_harness.h"

namespace quamba2::testing {
namespace {

constexpr DType kStored[] = {DType::kF32, DType::kI8, DType::kF16, DType::kBF16};

struct Pair {
  int32_t rows, width;
  Spec a, b, out;
  bool in_place = false;
};

std::vector<Pair> pairs() {
  std::vector<Pair> all;
  for (int32_t width = 1; width <= 40; ++width) all.push_back({1 + width % 4, width, {}, {}, {}});
  for (DType a : kStored) {
    for (DType out : kStored) {
      for (Grain grain : {Grain::kTensor, Grain::kColumn, Grain::kRow}) {
        Pair p = {5, 77, {}, {}, {}};
        p.a.storage = p.b.storage = a, p.out.storage = out;
        p.a.grain = p.out.grain = grain;
        p.a.misalign = 1, p.out.misalign = 1, p.a.row_pad = 3, p.b.row_pad = 7, p.out.row_pad = 2;
        all.push_back(p);
      }
    }
  }
  Pair large = {19, 2050, {}, {}, {}};
  all.push_back(large);
  large.in_place = true;
  all.push_back(large);
  Pair dynamic = {19, 2050, {}, {}, {}};
  dynamic.a.storage = dynamic.out.storage = DType::kI8, dynamic.a.grain = dynamic.out.grain = Grain::kRow;
  all.push_back(dynamic);
  dynamic.in_place = true;
  all.push_back(dynamic);
  for (Values values : {Values::kZero, Values::kHugeChannel, Values::kDenormal, Values::kEnds}) {
    Pair p = {3, 130, {}, {}, {}};
    p.a.values = p.b.values = values, p.b.spread = 80;
    all.push_back(p);
    p.out.storage = DType::kI8;
    all.push_back(p);
    p.out.grain = Grain::kRow;
    all.push_back(p);
  }
  return all;
}

// Args with two inputs named by pointers to members.
template <class Args>
void check_pairs(Operand Args::* first, Operand Args::* second, uint64_t seed) {
  KernelTest<Args> test;
  for (const Pair& p : pairs()) {
    auto space = std::make_shared<Workspace>(++seed);
    Args args;
    args.*first = space->operand({p.rows, p.width}, p.a);
    args.*second = space->operand({p.rows, p.width}, p.b);
    args.out = p.in_place ? args.*first : space->output({p.rows, p.width}, p.out);
    test.check("pair", seed, space, args, 0.7, p.in_place);
  }
  test.finish();
}

TEST(Elementwise, GateMatchesTheReference) { check_pairs(&GateArgs::y, &GateArgs::z, 3000); }

TEST(Elementwise, AddMatchesTheReference) { check_pairs(&AddArgs::a, &AddArgs::b, 4000); }

TEST(Elementwise, ConvertMatchesTheReference) {
  KernelTest<ConvertArgs> test;
  uint64_t seed = 5000;
  for (const Pair& p : pairs()) {
    auto space = std::make_shared<Workspace>(++seed);
    ConvertArgs args;
    args.x = space->operand({p.rows, p.width}, p.a);
    args.out = p.in_place ? args.x : space->output({p.rows, p.width}, p.out);
    test.check("convert", seed, space, args, 0.7, p.in_place);
  }
  test.finish();
}

TEST(Elementwise, SelectRowsMatchesTheReference) {
  KernelTest<SelectRowsArgs> test;
  uint64_t seed = 6000;
  for (DType storage : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (int32_t width : {1, 3, 17, 64, 4100}) {
      for (const std::vector<int32_t>& rows : {std::vector<int32_t>{4}, {0, 0, 3}, {4, 2, 0, 1, 3}}) {
        auto space = std::make_shared<Workspace>(++seed);
        Spec spec;
        spec.storage = storage, spec.misalign = 1, spec.row_pad = 3;
        SelectRowsArgs args;
        args.rows = space->indices(rows);
        args.x = space->operand({5, width}, spec);
        args.out = space->output({static_cast<int32_t>(rows.size()), width}, spec);
        test.check("select", seed, space, args);
      }
    }
  }
  test.finish();
}

}  // namespace
}  // namespace quamba2::testing
