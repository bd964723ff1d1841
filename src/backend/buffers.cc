// SPDX-License-Identifier: Apache-2.0
#include "backend/buffers.h"

#include <algorithm>
#include <cstdio>

#include "base/check.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr size_t kAlign = 64;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

TensorView index_view(void* data, int32_t count) {
  TensorView v;
  v.data = data;
  v.dim[0] = count;
  v.stride[0] = 1;
  v.dtype = DType::kI32;
  v.rank = 1;
  return v;
}

Format resolved(const Encoding& encoding, DType float_type) {
  Format f = encoding.format;
  if (f.levels == 0 && f.storage == DType::kF32) f.storage = float_type;
  return f;
}

// Where the scales of `rows` rows of a dynamic edge are.
TensorView row_scales(void* data, int32_t rows) {
  TensorView v = index_view(data, rows);
  v.dtype = DType::kF32;
  return v;
}

// A slot is its numbers, padded to whole floats, then its scales [H, N / 32, P] or [N / 32, E].
int64_t state_scales_offset(const Operand& state) {
  int64_t bytes = 1;
  for (int i = 1; i < state.values.rank; ++i) bytes *= state.values.dim[i];
  return (bytes + 3) / 4 * 4;
}

void place_state_scales(const State& state, Operand* out) {
  const int64_t slot_bytes = state_scales_offset(*out) + 4 * dynamic_state_scales(state);
  QUAMBA2_CHECK(slot_bytes <= INT32_MAX, "a state is too large: " + state.name);
  TensorView &v = out->values, &s = out->scales[0];
  s.dtype = DType::kF32;
  s.rank = v.rank;
  for (int i = 0; i < s.rank; ++i) s.dim[i] = v.dim[i];
  s.dim[s.rank - 2] = state_blocks(v.dim[v.rank - 2]);
  s.stride[s.rank - 1] = 1;
  for (int i = s.rank - 1; i > 1; --i) s.stride[i - 1] = s.stride[i] * s.dim[i];
  v.stride[0] = static_cast<int32_t>(slot_bytes);
  s.stride[0] = v.stride[0] / 4;
}

TensorView scale_view(const Tensor& scales) { return scales.empty() ? TensorView{} : scales.view(); }

// The memory that an edge lives in, and the columns of it: a piece lives in its parent.
EdgeId owner(const Graph& graph, EdgeId edge) {
  const Edge& e = graph.edges[static_cast<size_t>(edge)];
  return e.slice == Slice::kPiece ? e.parent : edge;
}

int32_t row_limit(const PlanLimits& limits, RowKind rows) {
  return rows == RowKind::kTokens ? limits.max_tokens : limits.max_selected;
}

}  // namespace

Operand ShapesOnly::edge(EdgeId id) const {
  const Edge& e = graph_.edges[static_cast<size_t>(id)];
  const Edge& o = graph_.edges[static_cast<size_t>(owner(graph_, id))];
  Operand out;
  // A piece is stored as its parent says: they share memory.
  out.format = resolved(o.encoding, float_type_);
  out.values.dtype = out.format.storage;
  out.values.rank = 2;
  out.values.dim[0] = row_limit(limits_, e.rows);
  out.values.dim[1] = e.columns;
  out.values.stride[0] = o.columns;
  out.values.stride[1] = 1;
  out.scales[0] = out.format.dynamic ? row_scales(nullptr, out.values.dim[0]) : scale_view(o.encoding.scales);
  if (out.format.levels > 0 && out.format.level[0].grain == Grain::kColumn && e.slice == Slice::kPiece) {
    out.scales[0].dim[0] = e.columns;
    if (out.scales[0].data) out.scales[0].data = static_cast<float*>(out.scales[0].data) + e.begin;
  }
  return out;
}

Operand ShapesOnly::state(int32_t id) const {
  const State& s = graph_.states[static_cast<size_t>(id)];
  static const Encoding float_encoding;
  const Encoding* chosen = s.like == kNone ? &s.encoding : &graph_.edges[static_cast<size_t>(s.like)].encoding;
  // Scales of rows go with the call: a history of them is kept in floats.
  if (s.like != kNone && chosen->format.dynamic) chosen = &float_encoding;
  const Encoding& encoding = *chosen;
  Operand out;
  out.format = resolved(encoding, float_type_);
  out.values.dtype = out.format.storage;
  out.values.rank = static_cast<uint8_t>(s.shape.size() + 1);
  out.values.dim[0] = limits_.max_sequences;
  for (size_t i = 0; i < s.shape.size(); ++i) out.values.dim[i + 1] = s.shape[i];
  int64_t stride = 1;
  for (size_t i = s.shape.size() + 1; i-- > 0;) {
    out.values.stride[i] = static_cast<int32_t>(stride);
    stride *= out.values.dim[i];
    QUAMBA2_CHECK(i == 0 || stride <= INT32_MAX, "a state is too large: " + s.name);
  }
  out.scales[0] = scale_view(encoding.scales);
  if (out.format.dynamic) place_state_scales(s, &out);
  return out;
}

TensorView ShapesOnly::token_ids() const { return index_view(nullptr, limits_.max_tokens); }
TensorView ShapesOnly::selected_rows() const { return index_view(nullptr, limits_.max_selected); }

TensorView Allocated::token_ids() const { return index_view(plan_.ids.data(), plan_.limits.max_tokens); }
TensorView Allocated::selected_rows() const { return index_view(plan_.selected.data(), plan_.limits.max_selected); }

namespace {

struct Lifetime {
  int first = -1, last = -1;  // steps that write and read it
};

// First and last use of every edge's memory.
std::vector<Lifetime> lifetimes(const Graph& graph, bool keep) {
  std::vector<Lifetime> out(graph.edges.size());
  const auto use = [&](EdgeId edge, int step) {
    Lifetime& l = out[static_cast<size_t>(owner(graph, edge))];
    if (l.first < 0) l.first = step;
    l.last = std::max(l.last, step);
  };
  const int steps = static_cast<int>(graph.nodes.size());
  if (graph.input != kNone) use(graph.input, 0);
  for (int i = 0; i < steps; ++i) {
    const Node& node = graph.nodes[static_cast<size_t>(i)];
    for (EdgeId input : node.inputs) use(input, i);
    const std::vector<EdgeId> parts = graph.children(node.output, Slice::kPart);
    for (EdgeId part : parts) use(part, i);
    if (parts.empty()) use(node.output, i);
    if (node.sum != kNone) use(node.sum, i);
  }
  for (size_t e = 0; e < out.size(); ++e) {
    // What the head reads has to survive from the body's call to the head's, which may be repeated.
    const bool crosses = out[e].first >= 0 && graph.edges[e].rows == RowKind::kTokens &&
                         std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& n) {
                           return n.op == Op::kSelectRows && n.inputs[0] == static_cast<EdgeId>(e);
                         });
    if (out[e].first >= 0 && (keep || crosses || static_cast<EdgeId>(e) == graph.logits)) out[e].last = steps;
  }
  return out;
}

// First-fit placement in order of size; gives offsets and the size of the block.
size_t place(const std::vector<Lifetime>& lives, const std::vector<size_t>& bytes, std::vector<size_t>* offsets) {
  std::vector<size_t> order;
  for (size_t i = 0; i < lives.size(); ++i) {
    if (lives[i].first >= 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return bytes[a] > bytes[b]; });
  std::vector<size_t> placed;
  size_t total = 0;
  for (size_t i : order) {
    std::vector<std::pair<size_t, size_t>> taken;  // ranges that live at the same time
    for (size_t j : placed) {
      if (lives[j].first <= lives[i].last && lives[i].first <= lives[j].last)
        taken.push_back({(*offsets)[j], (*offsets)[j] + bytes[j]});
    }
    std::sort(taken.begin(), taken.end());
    size_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + bytes[i] <= begin) break;
      at = std::max(at, end);
    }
    (*offsets)[i] = at;
    placed.push_back(i);
    total = std::max(total, at + bytes[i]);
  }
  return total;
}

}  // namespace

namespace {

std::string gigabytes(size_t bytes) {
  char out[48];
  std::snprintf(out, sizeof out, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return out;
}

// Memory is told before it is taken: what a device says in the middle of it names a piece, not the whole.
void check_room(const Device& device, size_t weights, size_t edges, size_t states) {
  const size_t available = device.free_bytes(), needed = weights + edges + states;
  if (needed <= available) return;
  throw Error(
      ErrorCode::kResource, "not enough memory on the device", "",
      gigabytes(needed) + " are needed (weights " + gigabytes(weights) + ", activations " + gigabytes(edges) +
          ", states " + gigabytes(states) + "), " + gigabytes(available) + " are free",
      "end other programs that use it, choose a smaller model, recipe, batch or --max-tokens, or use --device cpu");
}

// What a device keeps beside the numbers.
void allocate_tables(Plan* plan) {
  const auto selected = static_cast<size_t>(plan->limits.max_selected);
  plan->segments = Storage(plan->device, static_cast<size_t>(plan->limits.max_sequences) * sizeof(Segment));
  plan->rules = Storage(plan->device, selected * sizeof(TokenRule));
  plan->chosen = Storage(plan->device, selected * sizeof(int32_t));
}

}  // namespace

void allocate(Plan* plan, DType float_type, size_t weight_bytes, size_t scratch_bytes) {
  const Graph& graph = plan->graph;
  const ShapesOnly shapes(graph, plan->limits, float_type);
  const std::vector<Lifetime> lives = lifetimes(graph, plan->limits.keep_edges);
  // Dynamic scales lie behind the numbers, and live as long.
  std::vector<size_t> bytes(graph.edges.size()), offsets(graph.edges.size()), scale_offsets(graph.edges.size());
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const Operand o = shapes.edge(static_cast<EdgeId>(e));
    bytes[e] = aligned(static_cast<size_t>(o.values.dim[0]) * static_cast<size_t>(o.values.dim[1]) *
                           static_cast<size_t>(bits_of(o.values.dtype)) / 8 +
                       kAlign);
    scale_offsets[e] = bytes[e];
    if (o.format.dynamic) bytes[e] += aligned(static_cast<size_t>(o.values.dim[0]) * sizeof(float));
    plan->edges.push_back(o);
  }
  const size_t edge_bytes = place(lives, bytes, &offsets);

  size_t total = 0;
  std::vector<size_t> state_offsets;
  for (size_t s = 0; s < graph.states.size(); ++s) {
    const Operand o = shapes.state(static_cast<int32_t>(s));
    plan->states.push_back(o);
    plan->state_bytes.push_back(static_cast<size_t>(o.values.stride[0]) * static_cast<size_t>(bits_of(o.values.dtype)) /
                                8);
    state_offsets.push_back(total);
    total += aligned(plan->state_bytes.back() * static_cast<size_t>(plan->limits.max_sequences));
  }
  if (plan->device) check_room(*plan->device, weight_bytes, edge_bytes + scratch_bytes, total);
  // As many as rows of logits at least: a choice leaves its tokens there.
  plan->ids =
      Storage(plan->device, static_cast<size_t>(std::max(plan->limits.max_tokens, plan->limits.max_selected)) * 4);
  plan->selected = Storage(plan->device, static_cast<size_t>(plan->limits.max_selected) * 4);
  if (plan->device) allocate_tables(plan);
  plan->edge_memory = Storage(plan->device, edge_bytes);
  plan->scratch = Storage(plan->device, scratch_bytes);
  auto* base = static_cast<char*>(plan->edge_memory.data());
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const EdgeId home = owner(graph, static_cast<EdgeId>(e));
    if (lives[static_cast<size_t>(home)].first < 0) continue;
    const int64_t column = home == static_cast<EdgeId>(e) ? 0 : graph.edges[e].begin;
    plan->edges[e].values.data =
        base + offsets[static_cast<size_t>(home)] + column * bits_of(plan->edges[e].values.dtype) / 8;
    if (plan->edges[e].format.dynamic) plan->edges[e].scales[0].data = base + offsets[e] + scale_offsets[e];
  }

  plan->state_memory = Storage(plan->device, total);
  for (size_t s = 0; s < graph.states.size(); ++s) {
    Operand& state = plan->states[s];
    state.values.data = static_cast<char*>(plan->state_memory.data()) + state_offsets[s];
    if (state.format.dynamic) state.scales[0].data = static_cast<char*>(state.values.data) + state_scales_offset(state);
  }
}

}  // namespace quamba2
