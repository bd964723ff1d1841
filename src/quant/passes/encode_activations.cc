// SPDX-License-Identifier: Apache-2.0
// From here on a part runs with its activations and states as they will be stored: GPTQ and later parts see them so.
#include <algorithm>

#include "base/check.h"
#include "quant/passes/passes.h"
#include "tensor/convert.h"

namespace quamba2 {
namespace {

std::vector<float> to_scales(std::vector<float> range) {
  for (float& s : range) s = bf16_at_least(s / 127.0f);  // files hold them as bf16
  return range;
}

// Every cell's largest range for all of its columns. `cells` names the cell of each column.
std::vector<float> shared(const std::vector<float>& range, const std::vector<int32_t>& cells) {
  std::vector<float> most(static_cast<size_t>(*std::max_element(cells.begin(), cells.end())) + 1, 0.0f), out;
  for (size_t c = 0; c < range.size(); ++c) {
    float& cell = most[static_cast<size_t>(cells[c])];
    cell = std::max(cell, range[c]);
  }
  for (int32_t cell : cells) out.push_back(most[static_cast<size_t>(cell)]);
  return out;
}

// Unclustered channels share one scale.
std::vector<int32_t> cluster_cells(const QuantPart& part, size_t channels) {
  return part.clusters.empty() ? std::vector<int32_t>(channels, 0) : part.clusters;
}

std::vector<int32_t> group_cells(const QuantPart& part, size_t columns) {
  std::vector<int32_t> out(columns);
  for (const Node& node : part.graph.nodes) {
    if (node.op != Op::kSsdScan) continue;
    const auto groups = static_cast<size_t>(std::get<SsdAttributes>(node.attributes).groups);
    for (size_t c = 0; c < columns; ++c) out[c] = static_cast<int32_t>(c * groups / columns);
  }
  return out;
}

Encoding edge_encoding(const QuantPart& part, EdgeId id, const ActivationTarget& target) {
  Encoding out{target.format, {}};
  if (target.format.levels == 0 || target.format.dynamic) return out;
  const std::vector<float>& range = part.ranges.edges.at(id);
  std::vector<float> scales;
  if (target.format.level[0].grain == Grain::kTensor) {
    scales = {target.percentile > 0 ? part.ranges.percentiles.at(id) : *std::max_element(range.begin(), range.end())};
  } else if (target.sharing == Sharing::kCluster) {
    scales = shared(range, cluster_cells(part, range.size()));
  } else if (target.sharing == Sharing::kGroup) {
    scales = shared(range, group_cells(part, range.size()));
  } else {
    scales = range;
  }
  out.scales = Tensor::from({static_cast<int64_t>(scales.size())}, to_scales(scales));
  return out;
}

// Ranges of a state are given for all of its numbers: [H, N, P] or [N, E].
Encoding state_encoding(const QuantPart& part, int32_t id, const ActivationTarget& target) {
  Encoding out{target.format, {}};
  if (target.format.levels == 0 || target.format.dynamic) return out;
  const std::vector<float>& range = part.ranges.states.at(id);
  const std::vector<int32_t>& shape = part.graph.states[static_cast<size_t>(id)].shape;
  const bool heads = shape.size() == 3;
  const size_t H = heads ? static_cast<size_t>(shape[0]) : 1, N = static_cast<size_t>(shape[heads ? 1 : 0]),
               P = static_cast<size_t>(shape[heads ? 2 : 1]);
  if (target.sharing == Sharing::kCluster && !part.clusters.empty()) {  // one a (cluster, n)
    std::vector<float> scales(range.size());
    for (size_t n = 0; n < N; ++n) {
      std::vector<float> slice;
      for (size_t h = 0; h < H; ++h) {
        for (size_t p = 0; p < P; ++p) slice.push_back(range[(h * N + n) * P + p]);
      }
      slice = shared(slice, part.clusters);
      for (size_t h = 0; h < H; ++h) {
        for (size_t p = 0; p < P; ++p) scales[(h * N + n) * P + p] = slice[h * P + p];
      }
    }
    out.scales = Tensor::from({shape.begin(), shape.end()}, to_scales(scales));
    return out;
  }
  std::vector<float> scales(H * P, 0.0f);
  for (size_t i = 0; i < range.size(); ++i) {
    float& s = scales[i / (N * P) * P + i % P];
    s = std::max(s, range[i]);
  }
  if (target.sharing == Sharing::kCluster) scales = shared(scales, cluster_cells(part, scales.size()));
  std::vector<int64_t> dims{static_cast<int64_t>(P)};
  if (heads) dims.insert(dims.begin(), static_cast<int64_t>(H));
  out.scales = Tensor::from(dims, to_scales(scales));
  return out;
}

void encode_part(QuantPart& part, PassContext& context) {
  for (const auto& [id, target] : part.edges)
    part.graph.edges[static_cast<size_t>(id)].encoding = edge_encoding(part, id, target);
  for (const auto& [id, target] : part.states)
    part.graph.states[static_cast<size_t>(id)].encoding = state_encoding(part, id, target);
  context.detail =
      std::to_string(part.edges.size()) + " activations, " + std::to_string(part.states.size()) + " states";
}

}  // namespace

Pass encode_activations() {
  return {"encode_activations", facts(Fact::kFormats, Fact::kRanges), facts(Fact::kActivations), 0, false, encode_part};
}

}  // namespace quamba2
