// SPDX-License-Identifier: Apache-2.0
// ssd_scan of every level against the reference: token by token and in chunks.
#include "kernels/scan_problems.h"
#include "support/kernel_harness.h"

namespace quamba2::testing {
namespace {

SsdScanArgs make_args(Workspace& space, const ScanProblem& p) {
  SsdScanArgs a;
  const int32_t tokens = p.tokens();
  a.x = space.operand({tokens, p.heads * p.width}, p.x);
  a.dt = space.operand({tokens, p.heads}, p.dt);
  a.b = space.operand({tokens, p.groups * p.states}, p.bc);
  a.c = space.operand({tokens, p.groups * p.states}, p.bc);
  a.a_log = space.floats({p.heads}, p.a_log, 0.5, p.misalign);
  a.d = space.floats({p.d_per_channel ? p.heads * p.width : p.heads}, 1, 0.3, p.misalign);
  if (p.bias) a.dt_bias = space.floats({p.heads}, -2, 1, p.misalign);
  a.dt_min = p.dt_min;
  a.dt_max = p.dt_max;
  a.groups = p.groups;
  Spec state = p.state;
  state.misalign = p.misalign;
  a.state = space.operand({p.slots, p.heads, p.states, p.width}, state);
  a.segments = space.segments(p.segments);
  a.segment_count = static_cast<int32_t>(p.segments.size());
  a.single_segments = singles_of(p.segments);
  a.out = space.output({tokens, p.heads * p.width}, p.out);
  return a;
}

void check_all(const std::vector<ScanProblem>& problems, uint64_t seed) {
  KernelTest<SsdScanArgs> test;
  for (const ScanProblem& p : problems) {
    auto space = std::make_shared<Workspace>(++seed);
    const SsdScanArgs args = make_args(*space, p);
    test.check("heads " + std::to_string(p.heads) + " width " + std::to_string(p.width) + " states " +
                   std::to_string(p.states) + " groups " + std::to_string(p.groups),
               seed, space, args);
  }
  test.finish();
}

TEST(SsdScan, SmallSizesMatchTheReference) {
  std::vector<ScanProblem> problems;
  for (int32_t width = 1; width <= 37; width += 2) {
    ScanProblem p;
    p.heads = 1 + width % 4, p.groups = p.heads % 2 ? 1 : 2;
    p.width = width, p.states = 1 + width % 11;
    p.segments = {{0, 1 + width % 19, 2}, {1 + width % 19, width, 0}};
    problems.push_back(p);
  }
  check_all(problems, 9000);
}

TEST(SsdScan, EveryLengthMatchesTheReference) {
  std::vector<ScanProblem> problems;
  for (int32_t length : {1, 2, 14, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 80, 127, 128, 129, 200}) {
    ScanProblem p;
    p.heads = 2, p.width = 20, p.states = 12;
    p.segments = {{0, length, 1}};
    problems.push_back(p);
  }
  check_all(problems, 9100);
}

// The shapes of Mamba2, one token a segment: what a GPU has a kernel for.
TEST(SsdScan, StepsOfModelsMatchTheReference) {
  std::vector<ScanProblem> problems;
  for (const int32_t states : {64, 128}) {
    for (const int kind : {0, 1, 2, 3, 4}) {
      ScanProblem p;
      p.heads = 4, p.width = 64, p.states = states, p.groups = kind % 2 + 1;
      p.segments = {{0, 1, 4}, {1, 1, 0}, {2, 1, 2}};
      if (kind == 1) p.state.storage = DType::kF16;
      if (kind >= 2) p.state.storage = DType::kI8, p.state.grain = Grain::kColumn;
      p.state.dynamic = kind == 2 || kind == 3;
      p.state.along_states = kind == 4;
      if (kind == 3) {
        p.x.storage = p.bc.storage = p.dt.storage = p.out.storage = DType::kI8;
        p.x.grain = p.bc.grain = p.out.grain = Grain::kColumn, p.a_log = 4;
      }
      problems.push_back(p);
    }
  }
  check_all(problems, 9300);
}

// More heads than a GPU has blocks at once: blocks that take one after the other.
TEST(SsdScan, StepsOfManySequencesMatchTheReference) {
  std::vector<ScanProblem> problems;
  for (const bool codes : {false, true}) {
    ScanProblem p;
    p.heads = 48, p.width = 64, p.states = 128, p.groups = 2, p.slots = 10;
    p.segments.clear();
    for (int32_t i = 0; i < 9; ++i) p.segments.push_back({i, 1, 8 - i});
    p.state.storage = DType::kI8, p.state.grain = Grain::kColumn, p.state.dynamic = true;
    if (codes) {
      p.x.storage = p.bc.storage = p.dt.storage = p.out.storage = DType::kI8;
      p.x.grain = p.bc.grain = p.out.grain = Grain::kColumn, p.a_log = 4;
    }
    problems.push_back(p);
  }
  check_all(problems, 9350);
}

// Prompts at the shapes of Mamba2: chunks of tensor cores.
TEST(SsdScan, ChunksOfModelsMatchTheReference) {
  std::vector<ScanProblem> problems;
  for (const int32_t states : {64, 128}) {
    for (const int32_t length : {2, 15, 63, 64, 65, 128, 129, 150, 300}) {
      ScanProblem p;
      p.heads = 2, p.width = 64, p.states = states, p.groups = 1 + length % 2;
      p.segments = {{0, length, 1}, {length, 70, 3}};
      if (length % 4 == 2) p.segments = {{0, 1, 0}, {1, 1, 2}, {2, length, 1}, {2 + length, 70, 3}};  // beside texts
      if (length % 3 == 0) p.state.storage = DType::kF16;
      if (length % 5 == 0) p.state.storage = DType::kI8, p.state.grain = Grain::kColumn, p.state.dynamic = true;
      if (length % 2 == 0) {
        p.x.storage = p.bc.storage = p.dt.storage = p.out.storage = DType::kI8;
        p.x.grain = p.bc.grain = p.out.grain = Grain::kColumn;
      }
      problems.push_back(p);
      p.a_log = length % 2 ? 4 : -6;
      problems.push_back(p);
    }
  }
  check_all(problems, 9400);
}

// A GPU shares out a head among fewer blocks where there are many.
TEST(SsdScan, ChunksOfManyHeadsMatchTheReference) {
  std::vector<ScanProblem> problems;
  for (const int kind : {0, 1, 2, 3}) {
    ScanProblem p;
    p.heads = 80, p.width = 64, p.states = 128, p.groups = 2;
    p.segments = {{0, 17, 1}, {17, 130, 3}};
    if (kind == 1) p.state.storage = DType::kF16;
    if (kind >= 2) p.state.storage = DType::kI8, p.state.grain = Grain::kColumn, p.state.dynamic = true;
    if (kind == 3) {
      p.x.storage = p.bc.storage = p.dt.storage = p.out.storage = DType::kI8;
      p.x.grain = p.bc.grain = p.out.grain = Grain::kColumn, p.a_log = 4;
    }
    problems.push_back(p);
  }
  check_all(problems, 9500);
}

TEST(SsdScan, VariantsOfChunksMatchTheReference) {
  ScanProblem base;
  base.heads = 4, base.width = 64, base.states = 64, base.groups = 2;
  base.segments = {{0, 5, 3}, {5, 1, 0}, {6, 140, 4}, {146, 20, 1}};
  std::vector<ScanProblem> problems;
  for (ScanProblem p : scan_variants(base)) {
    p.width = 64;  // the kernels of chunks have no other
    problems.push_back(p);
  }
  check_all(problems, 9500);
}

TEST(SsdScan, VariantsMatchTheReference) {
  ScanProblem base;
  base.heads = 6, base.width = 32, base.states = 24, base.groups = 2;
  base.segments = {{0, 5, 3}, {5, 1, 0}, {6, 90, 4}, {96, 20, 1}};
  std::vector<ScanProblem> problems = scan_variants(base);
  const auto changed = [&](auto change) {
    ScanProblem p = base;
    change(p);
    problems.push_back(p);
  };
  changed([](ScanProblem& p) { p.d_per_channel = true; });
  changed([](ScanProblem& p) { p.dt_min = 0.01, p.dt_max = 0.1; });
  changed([](ScanProblem& p) { p.dt_max = 1e300; });
  changed([](ScanProblem& p) { p.heads = 20, p.groups = 1; });  // more than a thread holds at once
  changed([](ScanProblem& p) { p.width = 64, p.states = 128, p.heads = 3, p.groups = 1; });
  for (int32_t states : {32, 33, 100, 128}) {  // blocks of a dynamic state
    changed([&](ScanProblem& p) {
      p.width = 70, p.states = states, p.heads = 2, p.groups = 1;
      p.state.storage = DType::kI8, p.state.grain = Grain::kColumn, p.state.dynamic = true;
    });
    changed([&](ScanProblem& p) {
      p.width = 70, p.states = states, p.heads = 2, p.groups = 1, p.segments = {{0, 1, 4}, {1, 1, 0}};
      p.state.storage = DType::kI8, p.state.grain = Grain::kColumn, p.state.dynamic = true;
    });
  }
  check_all(problems, 9200);
}

}  // namespace
}  // namespace quamba2::testing
