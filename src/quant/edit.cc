// SPDX-License-Identifier: Apache-2.0
#include "quant/edit.h"

#include <algorithm>

#include "base/check.h"
#include "quamba2/error.h"
#include "quant/for_rows.h"
#include "quant/roles.h"

namespace quamba2 {

void set_floats(Weight* weight, const std::vector<float>& values) {
  Weight out = make_float_weight(weight->name, weight->values.shape(), values);
  out.axes = weight->axes;
  out.stored = weight->stored;
  *weight = std::move(out);
}

namespace {

constexpr size_t kTogether = 16;  // neighbouring lines down columns, which share the memory that is fetched for one

// Lines [first, first + count) of those that begin side by side at `base`, their numbers `inner` apart.
void change_neighbours(float* base, size_t first, size_t count, size_t length, size_t inner,
                       const std::function<void(std::vector<double>& line)>& change) {
  std::vector<std::vector<double>> lines(count, std::vector<double>(length));
  for (size_t k = 0; k < length; ++k) {
    for (size_t i = 0; i < count; ++i) lines[i][k] = base[k * inner + first + i];
  }
  for (std::vector<double>& line : lines) change(line);
  for (size_t k = 0; k < length; ++k) {
    for (size_t i = 0; i < count; ++i) base[k * inner + first + i] = static_cast<float>(lines[i][k]);
  }
}

}  // namespace

void change_lines(Weight* weight, size_t dimension, const std::function<void(std::vector<double>& line)>& change,
                  const Stream* stream) {
  std::vector<float> values = decode_weight(*weight);
  const std::vector<int64_t>& shape = weight->values.shape();
  const auto length = static_cast<size_t>(shape[dimension]);
  size_t inner = 1;
  for (size_t d = dimension + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
  const size_t outer = length == 0 ? 0 : values.size() / (length * inner);
  const size_t blocks = (inner + kTogether - 1) / kTogether;
  const auto work = [&](int64_t item) {
    const size_t o = static_cast<size_t>(item) / blocks, first = static_cast<size_t>(item) % blocks * kTogether;
    change_neighbours(values.data() + o * length * inner, first, std::min(kTogether, inner - first), length, inner,
                      change);
  };
  const auto items = static_cast<int64_t>(outer * blocks);
  if (stream) {
    for_rows(*stream, items, work);
  } else {
    for (int64_t i = 0; i < items; ++i) work(i);
  }
  set_floats(weight, values);
}

void reorder(Graph* graph, Space space, const std::vector<int32_t>& order) {
  for (Weight& weight : graph->weights) {
    for (size_t d = 0; d < weight.axes.size(); ++d) {
      size_t begin = 0;
      std::vector<size_t> runs;
      for (const AxisRun& run : weight.axes[d]) {
        if (run.space == Space::kRotated) {
          throw Error(ErrorCode::kUsage, "channels cannot be reordered", weight.name,
                      "they have been mixed by the online Hadamard transform", "reorder before it");
        }
        if (run.space == space) {
          QUAMBA2_CHECK(run.length == static_cast<int64_t>(order.size()), weight.name);
          runs.push_back(begin);
        }
        begin += static_cast<size_t>(run.length);
      }
      if (runs.empty()) continue;
      change_lines(&weight, d, [&](std::vector<double>& line) {
        const std::vector<double> old = line;
        for (size_t run : runs) {
          for (size_t i = 0; i < order.size(); ++i) line[run + i] = old[run + static_cast<size_t>(order[i])];
        }
      });
    }
  }
}

void insert_before(Graph* graph, int32_t node, size_t input, Op op, Attributes attributes, const std::string& name) {
  const Node& reader = graph->nodes[static_cast<size_t>(node)];
  const EdgeId source = reader.inputs[input];
  Edge edge;
  const size_t dot = reader.name.rfind('.');
  edge.name = (dot == std::string::npos ? "" : reader.name.substr(0, dot + 1)) + name;
  edge.columns = graph->edges[static_cast<size_t>(source)].columns;
  edge.rows = graph->edges[static_cast<size_t>(source)].rows;
  const auto id = static_cast<EdgeId>(graph->edges.size());
  graph->edges.push_back(edge);
  graph->nodes[static_cast<size_t>(node)].inputs[input] = id;
  graph->nodes.insert(graph->nodes.begin() + node, Node{op, edge.name, {source}, id, {}, kNone, attributes});
}

void insert_inner_rotation(Graph* layer) {
  insert_before(layer, find_node(*layer, "out_proj"), 0, Op::kHadamard, HadamardAttributes{false}, "rotated");
}

void insert_x_proj_row(Graph* layer) {
  insert_before(layer, find_node(*layer, "x_proj"), 0, Op::kConvert, {}, "x_row");
}

int32_t find_node(const Graph& graph, const std::string& role) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (edge_role(graph.nodes[i].name) == role) return static_cast<int32_t>(i);
  }
  return kNone;
}

bool is_labelled(const Weight& weight, size_t dimension, Space space) {
  return dimension < weight.axes.size() && weight.axes[dimension].size() == 1 &&
         weight.axes[dimension][0].space == space;
}

}  // namespace quamba2
