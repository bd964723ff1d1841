// SPDX-License-Identifier: Apache-2.0
#include "graph/artifact.h"

namespace quamba2 {
namespace {

bool is_plain(const Encoding& encoding) {
  return encoding.format.levels == 0 && encoding.format.storage == DType::kF32;
}

}  // namespace

Artifact artifact_of(const Graph& graph, const Transforms& transforms) {
  Artifact out;
  for (const Weight& weight : graph.weights) out.weights[weight.name] = weight;
  for (const Edge& edge : graph.edges) {
    if (!is_plain(edge.encoding)) out.edges[edge.name] = edge.encoding;
  }
  for (const State& state : graph.states) {
    if (!is_plain(state.encoding)) out.states[state.name] = state.encoding;
  }
  out.transforms = transforms;
  return out;
}

void merge(Artifact part, Artifact* into) {
  into->weights.merge(part.weights);
  into->edges.merge(part.edges);
  into->states.merge(part.states);
  into->transforms.residual |= part.transforms.residual;
  into->transforms.inner |= part.transforms.inner;
  into->transforms.x_proj_row |= part.transforms.x_proj_row;
}

}  // namespace quamba2
