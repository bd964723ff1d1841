// SPDX-License-Identifier: Apache-2.0
// selective_scan of every level against the reference.
#include "kernels/scan_problems.h"
#include "support/kernel_harness.h"

namespace quamba2::testing {
namespace {

SelectiveScanArgs make_args(Workspace& space, const ScanProblem& p) {
  SelectiveScanArgs a;
  const int32_t tokens = p.tokens();
  a.x = space.operand({tokens, p.width}, p.x);
  a.dt = space.operand({tokens, p.width}, p.dt);
  a.b = space.operand({tokens, p.states}, p.bc);
  a.c = space.operand({tokens, p.states}, p.bc);
  a.a_log = space.floats({p.width, p.states}, p.a_log, 0.5, p.misalign);
  a.d = space.floats({p.width}, 1, 0.3, p.misalign);
  if (p.bias) a.dt_bias = space.floats({p.width}, -2, 1, p.misalign);
  Spec state = p.state;
  state.misalign = p.misalign;
  a.state = space.operand({p.slots, p.states, p.width}, state);
  a.segments = space.segments(p.segments);
  a.segment_count = static_cast<int32_t>(p.segments.size());
  a.single_segments = singles_of(p.segments);
  a.out = space.output({tokens, p.width}, p.out);
  return a;
}

TEST(SelectiveScan, MatchesTheReference) {
  KernelTest<SelectiveScanArgs> test;
  uint64_t seed = 8000;
  std::vector<ScanProblem> problems;
  for (int32_t width = 1; width <= 36; ++width) {
    ScanProblem p;
    p.width = width, p.states = 1 + width % 5;
    p.state.storage = width % 2 ? DType::kI8 : DType::kF32, p.state.grain = Grain::kColumn;
    problems.push_back(p);
  }
  ScanProblem base;
  base.width = 100;
  for (const ScanProblem& p : scan_variants(base)) problems.push_back(p);
  for (int32_t states : {32, 33, 70}) {  // blocks of a dynamic state
    ScanProblem p = base;
    p.states = states;
    p.state.storage = DType::kI8, p.state.grain = Grain::kColumn, p.state.dynamic = true;
    problems.push_back(p);
  }
  for (const int32_t length : {32, 64, 65, 200}) {  // chunks of a GPU
    ScanProblem p = base;
    p.segments = {{0, length, 1}, {length, 100, 3}};
    problems.push_back(p);
    p.x.storage = p.bc.storage = p.dt.storage = p.out.storage = p.state.storage = DType::kI8;
    p.x.grain = p.bc.grain = p.out.grain = p.state.grain = Grain::kColumn, p.state.dynamic = true;
    problems.push_back(p);
  }
  for (const ScanProblem& p : problems) {
    auto space = std::make_shared<Workspace>(++seed);
    const SelectiveScanArgs args = make_args(*space, p);
    test.check("scan", seed, space, args);
  }
  test.finish();
}

}  // namespace
}  // namespace quamba2::testing
