// SPDX-License-Identifier: Apache-2.0
#include "quant/calibration.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "backend/executor.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

// States are looked at after every piece of this many tokens: often enough to see their peaks, seldom enough to be cheap.
constexpr int32_t kPiece = 64;
constexpr int32_t kProbeTokens = 48;

// Widens `range` to what lies in `rows` rows of `columns` floats. Magnitudes are compared as bits, which orders NaN and
// infinity above every number, so that neither can be missed.
void widen(const float* data, int64_t rows, int64_t columns, int64_t stride, std::vector<float>* range) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = data + r * stride;
    for (int64_t c = 0; c < columns; ++c) {
      const float v = std::fabs(row[c]);
      float& most = (*range)[static_cast<size_t>(c)];
      most = v <= most ? most : v;
    }
  }
}

void check_finite(const std::vector<float>& range, const std::string& name) {
  for (size_t c = 0; c < range.size(); ++c) {
    if (std::isfinite(range[c])) continue;
    throw Error(ErrorCode::kRuntime, "activation is not finite", name,
                "column " + std::to_string(c) + " became NaN or infinite on the calibration text",
                "check the checkpoint; other calibration text may avoid it");
  }
}

void observe_state(const Operand& state, std::vector<float>* range) {
  const TensorView& v = state.values;
  const auto* data = static_cast<const float*>(v.data);
  if (v.rank == 3) {  // [1, N, E]
    widen(data, v.dim[1], v.dim[2], v.stride[1], range);
    return;
  }
  std::vector<float> head(static_cast<size_t>(v.dim[3]));  // [1, H, N, P]
  for (int32_t h = 0; h < v.dim[1]; ++h) {
    const auto at = range->begin() + h * v.dim[3];
    std::copy(at, at + v.dim[3], head.begin());
    widen(data + static_cast<int64_t>(h) * v.stride[1], v.dim[2], v.dim[3], v.stride[2], &head);
    std::copy(head.begin(), head.end(), at);
  }
}

size_t channels_of(const State& state) {
  const auto channels = static_cast<size_t>(state.shape.back());
  return state.shape.size() == 3 ? channels * static_cast<size_t>(state.shape[0]) : channels;
}

}  // namespace

Calibration::Calibration(std::shared_ptr<const Backend> backend, std::vector<std::vector<int32_t>> windows)
    : backend_(std::move(backend)), windows_(std::move(windows)) {}

int64_t Calibration::tokens() const {
  int64_t n = 0;
  for (const auto& w : windows_) n += static_cast<int64_t>(w.size());
  return n;
}

Ranges Calibration::observe(const Graph& graph, const std::vector<EdgeId>& edges,
                            const std::vector<int32_t>& states) const {
  if (windows_.empty()) {
    throw Error(ErrorCode::kUsage, "no calibration text", "", "static scales are measured on text",
                "pass --calib FILE");
  }
  Ranges out;
  for (EdgeId e : edges) out.edges[e].resize(static_cast<size_t>(graph.edges[static_cast<size_t>(e)].columns), 0.0f);
  for (int32_t s : states) out.states[s].resize(channels_of(graph.states[static_cast<size_t>(s)]), 0.0f);

  Executor executor(graph, backend_, {.max_tokens = kPiece, .max_selected = kPiece, .max_sequences = 1});
  executor.set_tap([&](const Edge& edge, const Operand& values) {
    const auto id = graph.find_edge(edge.name);
    const auto at = out.edges.find(id);
    if (at == out.edges.end()) return;
    QUAMBA2_CHECK(values.values.dtype == DType::kF32, edge.name);
    widen(static_cast<const float*>(values.values.data), values.values.dim[0], values.values.dim[1],
          values.values.stride[0], &at->second);
  });
  // The head's input is the only edge of interest behind the row selection.
  const bool head = std::any_of(edges.begin(), edges.end(), [&](EdgeId e) {
    return graph.edges[static_cast<size_t>(e)].rows == RowKind::kSelected;
  });
  ProgressScope progress("calibrating", tokens());
  for (const auto& window : windows_) {
    executor.reset_state(0);
    for (size_t at = 0; at < window.size(); at += kPiece) {
      const auto n = static_cast<int32_t>(std::min<size_t>(kPiece, window.size() - at));
      const Segment segment{0, n, 0};
      executor.run({window.data() + at, static_cast<size_t>(n)}, {&segment, 1});
      if (head) {
        std::vector<int32_t> rows(static_cast<size_t>(n));
        for (int32_t i = 0; i < n; ++i) rows[static_cast<size_t>(i)] = i;
        executor.run_final_norm(rows);
      }
      for (auto& [s, range] : out.states) observe_state(executor.plan().states[static_cast<size_t>(s)], &range);
      progress.advance(n);
    }
  }
  for (const auto& [e, range] : out.edges) check_finite(range, graph.edges[static_cast<size_t>(e)].name);
  for (const auto& [s, range] : out.states) check_finite(range, graph.states[static_cast<size_t>(s)].name);
  return out;
}

std::vector<float> Calibration::probe(const Graph& graph) const {
  Executor executor(graph, backend_, {.max_tokens = kProbeTokens, .max_selected = kProbeTokens, .max_sequences = 1});
  std::vector<int32_t> ids, rows;
  Random random(1);
  for (int32_t i = 0; i < kProbeTokens; ++i) {
    ids.push_back(static_cast<int32_t>(random.below(executor.table_rows())));
    rows.push_back(i);
  }
  const Segment segment{0, kProbeTokens, 0};
  executor.run(ids, {&segment, 1});
  const float* logits = executor.logits(rows);
  return {logits, logits + static_cast<int64_t>(kProbeTokens) * executor.table_rows()};
}

}  // namespace quamba2
