// SPDX-License-Identifier: Apache-2.0
// Problems of both scans for their tests: shapes, formats and the values that hurt.
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "support/workspace.h"

namespace quamba2::testing {

inline std::vector<Segment> three_segments() { return {{0, 5, 3}, {5, 1, 0}, {6, 20, 4}}; }

struct ScanProblem {
  int32_t heads = 1, width = 32, states = 16, groups = 1;  // selective_scan: `width` channels, one head
  int32_t slots = 5;
  std::vector<Segment> segments = three_segments();
  Spec x, dt, bc, state, out;
  bool bias = true, d_per_channel = false;
  double dt_min = 0, dt_max = std::numeric_limits<double>::infinity(), a_log = 0.5;
  int misalign = 0;

  int32_t tokens() const { return segments.back().begin + segments.back().length; }
};

// A base problem with one change each: formats, values, segments.
inline std::vector<ScanProblem> scan_variants(const ScanProblem& base) {
  std::vector<ScanProblem> all = {base};
  const auto changed = [&](auto change) {
    ScanProblem p = base;
    change(p);
    all.push_back(p);
  };
  changed([](ScanProblem& p) { p.bias = false; });
  changed([](ScanProblem& p) { p.segments = {{0, 1, 4}, {1, 1, 0}, {2, 1, 2}}; });
  changed([](ScanProblem& p) { p.segments = {{0, 1, 4}, {1, 1, 0}, {2, 140, 2}, {142, 1, 1}}; });
  changed([](ScanProblem& p) { p.segments = {{0, 15, 1}, {15, 16, 4}, {31, 17, 0}, {48, 64, 2}}; });
  changed([](ScanProblem& p) { p.x.misalign = p.bc.misalign = p.dt.misalign = p.out.misalign = p.misalign = 1; });
  changed([](ScanProblem& p) { p.x.row_pad = 3, p.bc.row_pad = 1, p.dt.row_pad = 2, p.out.row_pad = 7; });
  for (Values values : {Values::kZero, Values::kHugeChannel, Values::kDenormal}) {
    changed([&](ScanProblem& p) { p.x.values = values; });
    changed([&](ScanProblem& p) { p.bc.values = values; });
  }
  changed([](ScanProblem& p) { p.dt.values = Values::kEnds, p.dt.spread = 80; });
  changed([](ScanProblem& p) { p.dt.mean = -80; });
  changed([](ScanProblem& p) { p.dt.mean = 20, p.dt.spread = 0.5, p.a_log = -6; });
  changed([](ScanProblem& p) { p.a_log = 4; });    // decays at once
  changed([](ScanProblem& p) { p.a_log = -12; });  // hardly ever
  changed([](ScanProblem& p) { p.state.values = Values::kZero; });
  for (Grain grain : {Grain::kTensor, Grain::kColumn}) {
    changed([&](ScanProblem& p) {
      p.x.storage = p.bc.storage = p.dt.storage = DType::kI8, p.x.grain = p.bc.grain = p.dt.grain = grain;
    });
    changed([&](ScanProblem& p) { p.out.storage = DType::kI8, p.out.grain = grain; });
  }
  changed([](ScanProblem& p) { p.state.storage = DType::kI8, p.state.grain = Grain::kColumn; });
  changed([](ScanProblem& p) { p.state.storage = DType::kF16; });
  for (const bool dynamic : {true, false}) {
    const auto stored = [&](ScanProblem& p) {
      p.state.storage = DType::kI8, p.state.grain = Grain::kColumn;
      p.state.dynamic = dynamic, p.state.along_states = !dynamic;
    };
    changed(stored);
    changed([&](ScanProblem& p) { stored(p), p.segments = {{0, 1, 4}, {1, 1, 0}, {2, 1, 2}}; });
    changed([&](ScanProblem& p) { stored(p), p.segments = {{0, 1, 4}, {1, 1, 0}, {2, 50, 2}}; });
    changed([&](ScanProblem& p) { stored(p), p.state.values = Values::kZero; });
    changed([&](ScanProblem& p) { stored(p), p.a_log = 4, p.width += 5, p.misalign = 1; });
  }
  changed([](ScanProblem& p) {
    p.x.storage = p.bc.storage = p.dt.storage = p.out.storage = p.state.storage = DType::kI8;
    p.x.grain = p.bc.grain = p.state.grain = p.out.grain = Grain::kColumn, p.x.clip = 0.4;
  });
  return all;
}

}  // namespace quamba2::testing
