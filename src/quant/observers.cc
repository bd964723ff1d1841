// SPDX-License-Identifier: Apache-2.0
#include "quant/observers.h"

#include <algorithm>
#include <cmath>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

// Widens `range` to what lies in `rows` rows. A NaN stays, and so is not missed.
void widen(const float* data, int64_t rows, int64_t columns, float* range) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = data + r * columns;
    for (int64_t c = 0; c < columns; ++c) {
      const float v = std::fabs(row[c]);
      range[c] = v <= range[c] ? range[c] : v;
    }
  }
}

size_t numbers_of(const State& state) {
  size_t n = 1;
  for (int32_t d : state.shape) n *= static_cast<size_t>(d);
  return n;
}

[[noreturn]] void not_finite_at(const std::string& name, const std::string& what) {
  throw Error(ErrorCode::kRuntime, "activation is not finite", name,
              what + " became NaN or infinite on the calibration text",
              "check the checkpoint; other calibration text may avoid it");
}

}  // namespace

void not_finite(const std::string& name) { not_finite_at(name, "it"); }

void check_finite(const std::vector<float>& range, const std::string& name) {
  for (size_t c = 0; c < range.size(); ++c) {
    if (!std::isfinite(range[c])) not_finite_at(name, "column " + std::to_string(c));
  }
}

RangeObserver::RangeObserver(const Graph& part, const Wanted& wanted) : part_(part), wanted_(wanted) {
  const auto columns = [&](EdgeId e) { return static_cast<size_t>(part.edges[static_cast<size_t>(e)].columns); };
  for (EdgeId e : wanted.edges) ranges_.edges[e].resize(columns(e), 0.0f);
  for (const auto& [e, p] : wanted.percentiles) {
    ranges_.edges[e].resize(columns(e), 0.0f);
    ranges_.percentiles[e] = 0;
  }
  for (int32_t s : wanted.states) ranges_.states[s].resize(numbers_of(part.states[static_cast<size_t>(s)]), 0.0f);
}

void RangeObserver::see(EdgeId edge, const float* rows, int64_t count) {
  std::vector<float>& range = ranges_.edges.at(edge);
  const auto columns = static_cast<int64_t>(range.size());
  widen(rows, count, columns, range.data());
  if (!wanted_.percentiles.count(edge)) return;
  std::vector<float>& seen = window_[edge];
  for (int64_t i = 0; i < count * columns; ++i) seen.push_back(std::fabs(rows[i]));
}

void RangeObserver::see_state(int32_t state, const Operand& values) {
  std::vector<float>& range = ranges_.states.at(state);
  widen(static_cast<const float*>(values.values.data), 1, static_cast<int64_t>(range.size()), range.data());
}

void RangeObserver::end_window() {
  ++windows_;
  for (auto& [edge, seen] : window_) {
    if (seen.empty()) continue;
    const double p = wanted_.percentiles.at(edge);
    const auto at = seen.begin() + static_cast<ptrdiff_t>(p * static_cast<double>(seen.size() - 1));
    std::nth_element(seen.begin(), at, seen.end());
    float& average = ranges_.percentiles.at(edge);
    average += (*at - average) / static_cast<float>(windows_);
    seen.clear();
  }
}

Ranges RangeObserver::finish() {
  for (const auto& [e, range] : ranges_.edges) check_finite(range, part_.edges[static_cast<size_t>(e)].name);
  for (const auto& [s, range] : ranges_.states) check_finite(range, part_.states[static_cast<size_t>(s)].name);
  return std::move(ranges_);
}

}  // namespace quamba2
