// SPDX-License-Identifier: Apache-2.0
// causal_conv1d of every level against the reference.
#include "support/kernel_harness.h"

namespace quamba2::testing {
namespace {

// Functions, because GCC 12 warns falsely about initializer lists as default members.
std::vector<Segment> four_segments() { return {{0, 9, 2}, {9, 1, 0}, {10, 2, 3}, {12, 5, 1}}; }
std::vector<int32_t> three_parts() { return {0, 64, 70, 160}; }

struct ConvProblem {
  int32_t channels = 160, taps = 4, slots = 4;
  std::vector<Segment> segments = four_segments();
  std::vector<int32_t> begin = three_parts();
  Spec x, weight, out;
  bool bias = true;
  int bias_misalign = 1;
  Activation activation = Activation::kSilu;
};

std::vector<ConvProblem> problems() {
  std::vector<ConvProblem> all;
  for (int32_t channels = 1; channels <= 36; ++channels) {
    ConvProblem p;
    p.channels = channels;
    p.begin = {0, channels};
    p.x.storage = channels % 2 ? DType::kF32 : DType::kI8;
    p.x.grain = Grain::kColumn;
    all.push_back(p);
  }
  const auto changed = [&](auto change) {
    ConvProblem p;
    change(p);
    all.push_back(p);
  };
  changed([](ConvProblem&) {});
  for (int32_t taps = 1; taps <= 9; ++taps) changed([&](ConvProblem& p) { p.taps = taps; });
  changed([](ConvProblem& p) { p.bias = false; });
  changed([](ConvProblem& p) { p.activation = Activation::kNone; });
  changed([](ConvProblem& p) { p.x.misalign = 1, p.out.misalign = 1, p.x.row_pad = 3, p.out.row_pad = 5; });
  changed([](ConvProblem& p) { p.segments = {{0, 70, 3}, {70, 2, 1}}; });
  changed([](ConvProblem& p) { p.segments = {{0, 1, 3}, {1, 1, 1}, {2, 1, 2}}; });
  for (Values values : {Values::kZero, Values::kHugeChannel, Values::kDenormal, Values::kEnds}) {
    changed([&](ConvProblem& p) { p.x.values = values; });
  }
  for (Grain grain : {Grain::kTensor, Grain::kColumn}) {
    changed([&](ConvProblem& p) { p.out.storage = DType::kI8, p.out.grain = grain; });
    changed([&](ConvProblem& p) { p.x.storage = DType::kI8, p.x.grain = grain, p.x.clip = 0.4; });
    changed([&](ConvProblem& p) {
      p.x.storage = p.out.storage = p.weight.storage = DType::kI8, p.x.grain = grain, p.out.grain = grain;
      p.segments = {{0, 70, 3}, {70, 2, 1}};
    });
  }
  changed([](ConvProblem& p) { p.weight.storage = DType::kI8; });
  changed([](ConvProblem& p) { p.weight.storage = DType::kF16; });
  for (int kind = 0; kind < 16; ++kind) {  // what can be read four at a time
    changed([&](ConvProblem& p) {
      p.bias_misalign = 0;
      if (kind & 1) p.x.storage = DType::kI8, p.x.grain = kind & 8 ? Grain::kTensor : Grain::kColumn;
      if (kind & 2) p.out.storage = DType::kI8, p.out.grain = kind & 8 ? Grain::kTensor : Grain::kColumn;
      if (kind & 4) p.weight.storage = DType::kI8, p.segments = {{0, 70, 3}, {70, 2, 1}, {72, 16, 0}};
      if (kind & 8) p.activation = Activation::kNone;
    });
  }
  for (int kind = 0; kind < 16; ++kind) {  // a token each, of few segments and of many
    changed([&](ConvProblem& p) {
      p.bias_misalign = 0, p.slots = 40, p.segments.clear();
      for (int32_t i = 0; i < (kind & 8 ? 37 : 3); ++i) p.segments.push_back({i, 1, 39 - i});
      if (kind & 1) p.x.storage = DType::kI8, p.x.grain = kind & 4 ? Grain::kTensor : Grain::kColumn;
      if (kind & 2) p.out.storage = DType::kI8, p.out.grain = kind & 4 ? Grain::kTensor : Grain::kColumn;
      if (kind & 4) p.weight.storage = DType::kI8;
    });
  }
  changed([](ConvProblem& p) { p.channels = 1792, p.begin = {0, 1536, 1664, 1792}; });
  return all;
}

TEST(CausalConv1d, MatchesTheReference) {
  KernelTest<CausalConv1dArgs> test;
  uint64_t seed = 7000;
  for (ConvProblem p : problems()) {
    auto space = std::make_shared<Workspace>(++seed);
    CausalConv1dArgs args;
    const int32_t tokens = p.segments.back().begin + p.segments.back().length;
    args.x = space->operand({tokens, p.channels}, p.x);
    p.weight.grain = Grain::kTensor;
    args.weight = space->operand({p.channels, p.taps}, p.weight);
    if (p.weight.storage == DType::kI8) {  // a scale a row
      args.weight.format.level[0].grain = Grain::kRow;
      args.weight.scales[0] = space->floats({p.channels}, 0.01, 0.001);
    }
    if (p.bias) args.bias = space->floats({p.channels}, 0, 1, p.bias_misalign);
    Spec state = p.x;
    state.row_pad = 0;
    args.state = space->operand_like({p.slots, p.taps - 1, p.channels}, state, args.x);
    args.segments = space->segments(p.segments);
    args.segment_count = static_cast<int32_t>(p.segments.size());
    args.activation = p.activation;
    args.out.count = static_cast<int32_t>(p.begin.size()) - 1;
    for (int32_t i = 0; i < args.out.count; ++i) {
      args.out.begin[i + 1] = p.begin[static_cast<size_t>(i) + 1];
      args.out.part[i] = space->output({tokens, args.out.begin[i + 1] - args.out.begin[i]}, p.out);
    }
    test.check("conv", seed, space, args);
  }
  test.finish();
}

}  // namespace
}  // namespace quamba2::testing
