// SPDX-License-Identifier: Apache-2.0
#include "graph/builder.h"

#include "base/check.h"
#include "quamba2/error.h"
#include "tensor/hadamard.h"

namespace quamba2 {
namespace {

bool fits(const std::vector<int64_t>& actual, const std::vector<int64_t>& expected) {
  if (actual.size() != expected.size()) return false;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (expected[i] >= 0 && actual[i] != expected[i]) return false;
  }
  return true;
}

std::string expected_text(const std::vector<int64_t>& shape) {
  std::string out = shape_text(shape);
  for (size_t at = out.find("-1"); at != out.npos; at = out.find("-1")) out.replace(at, 2, "any");
  return out;
}

// [C, 1, K], as convolutions are stored, is the matrix [C, K].
Tensor squeeze(const Tensor& t) {
  if (t.shape().size() != 3 || t.dim(1) != 1) return t;
  return t.reinterpreted(t.dtype(), {t.dim(0), t.dim(2)});
}

}  // namespace

int32_t GraphBuilder::take(const std::string& name, const std::vector<int64_t>& shape, bool required, bool as_f32) {
  const auto done = taken_.find(name);
  if (done != taken_.end()) return done->second;
  const auto at = source_.find(name);
  if (at == source_.end()) {
    if (!required) return kNone;
    throw Error(ErrorCode::kModelFile, "missing tensor", name, "the checkpoint has no tensor of this name",
                "check that all shards are there and that config.json belongs to these weights");
  }
  Weight weight = at->second;
  weight.values = squeeze(weight.values);
  if (as_f32 && weight.format.levels == 0) {
    if (weight.values.dtype() != DType::kF32) {  // else `stored` says what it was widened from
      weight.stored = weight.values.dtype();
      weight.values = Tensor::from(weight.values.shape(), to_floats(weight.values));
    }
    weight.format = {};
  }
  if (!fits(weight.values.shape(), shape)) {
    throw Error(
        ErrorCode::kModelFile, "wrong tensor shape", name,
        "the file has " + shape_text(weight.values.shape()) + ", the rest of the model needs " + expected_text(shape),
        "check that config.json belongs to these weights");
  }
  const auto id = static_cast<int32_t>(graph_.weights.size());
  graph_.weights.push_back(std::move(weight));
  taken_[name] = id;
  return id;
}

int32_t GraphBuilder::require(const std::string& name, const std::vector<int64_t>& shape) {
  return take(name, shape, true, false);
}
int32_t GraphBuilder::find(const std::string& name, const std::vector<int64_t>& shape) {
  return take(name, shape, false, false);
}
int32_t GraphBuilder::require_f32(const std::string& name, const std::vector<int64_t>& shape) {
  return take(name, shape, true, true);
}
int32_t GraphBuilder::find_f32(const std::string& name, const std::vector<int64_t>& shape) {
  return take(name, shape, false, true);
}

const std::vector<int64_t>& GraphBuilder::shape_of(int32_t weight) const {
  return graph_.weights[static_cast<size_t>(weight)].values.shape();
}

void GraphBuilder::label(int32_t weight, std::vector<Axis> axes) {
  if (weight == kNone) return;
  Weight& w = graph_.weights[static_cast<size_t>(weight)];
  QUAMBA2_CHECK(axes.size() == w.values.shape().size(), w.name);
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t length = 0;
    for (const AxisRun& run : axes[i]) length += run.length;
    if (length == w.values.dim(i)) continue;
    throw Error(ErrorCode::kModelFile, "wrong tensor shape", w.name,
                "the file has " + shape_text(w.values.shape()) + ", the rest of the model needs " +
                    std::to_string(length) + " in dimension " + std::to_string(i),
                "check that config.json belongs to these weights");
  }
  w.axes = std::move(axes);
}

void GraphBuilder::require_width(int32_t weight, size_t dimension, EdgeId edge) const {
  const int64_t has = shape_of(weight)[dimension], needs = graph_.edges[static_cast<size_t>(edge)].columns;
  if (has == needs) return;
  throw Error(ErrorCode::kModelFile, "wrong tensor shape", graph_.weights[static_cast<size_t>(weight)].name,
              "the file has " + shape_text(shape_of(weight)) + ", the rest of the model needs " +
                  std::to_string(needs) + (dimension == 0 ? " rows" : " columns"),
              "check that config.json belongs to these weights");
}

EdgeId GraphBuilder::edge(const std::string& name, int64_t columns, RowKind rows) {
  Edge e;
  e.name = scope_ + name;
  e.columns = static_cast<int32_t>(columns);
  e.rows = rows;
  graph_.edges.push_back(std::move(e));
  return static_cast<EdgeId>(graph_.edges.size() - 1);
}

EdgeId GraphBuilder::slice(EdgeId parent, const char* name, int64_t begin, int64_t columns, Slice kind) {
  const EdgeId id = edge(name, columns, graph_.edges[static_cast<size_t>(parent)].rows);
  Edge& e = graph_.edges[static_cast<size_t>(id)];
  e.parent = parent;
  e.slice = kind;
  e.begin = static_cast<int32_t>(begin);
  return id;
}

int32_t GraphBuilder::state(const std::string& name, std::vector<int32_t> shape, EdgeId like) {
  graph_.states.push_back({scope_ + name, std::move(shape), {}, like});
  return static_cast<int32_t>(graph_.states.size() - 1);
}

EdgeId GraphBuilder::append(Op op, const std::string& name, std::vector<EdgeId> inputs, int64_t columns,
                            std::vector<int32_t> weights, Attributes attributes, int32_t state_id) {
  const RowKind rows = op == Op::kSelectRows ? RowKind::kSelected
                       : inputs.empty()      ? RowKind::kTokens
                                             : graph_.edges[static_cast<size_t>(inputs[0])].rows;
  const EdgeId output = edge(name, columns, rows);
  graph_.nodes.push_back({op, scope_ + name, std::move(inputs), output, std::move(weights), state_id, attributes});
  return output;
}

EdgeId GraphBuilder::embed(int32_t table, const std::string& name) {
  return append(Op::kEmbed, name, {}, shape_of(table)[1], {table});
}

EdgeId GraphBuilder::select_rows(EdgeId x, const std::string& name) {
  return append(Op::kSelectRows, name, {x}, graph_.edges[static_cast<size_t>(x)].columns, {});
}

EdgeId GraphBuilder::rms_norm(EdgeId x, int32_t weight, double eps, const std::string& name) {
  return append(Op::kRmsNorm, name, {x}, graph_.edges[static_cast<size_t>(x)].columns, {weight}, NormAttributes{eps});
}

EdgeId GraphBuilder::layer_norm(EdgeId x, int32_t weight, int32_t bias, double eps, const std::string& name) {
  return append(Op::kLayerNorm, name, {x}, graph_.edges[static_cast<size_t>(x)].columns, {weight, bias},
                NormAttributes{eps});
}

EdgeId GraphBuilder::linear(EdgeId x, int32_t weight, int32_t bias, const std::string& name) {
  require_width(weight, 1, x);
  return append(Op::kLinear, name, {x}, shape_of(weight)[0], {weight, bias});
}

EdgeId GraphBuilder::concat(const std::vector<EdgeId>& edges, const std::string& name) {
  int64_t columns = 0;
  for (EdgeId e : edges) columns += graph_.edges[static_cast<size_t>(e)].columns;
  const EdgeId whole = edge(name, columns, graph_.edges[static_cast<size_t>(edges[0])].rows);
  int32_t begin = 0;
  for (EdgeId id : edges) {
    Edge& e = graph_.edges[static_cast<size_t>(id)];
    QUAMBA2_CHECK(e.slice == Slice::kWhole, e.name + " is a slice already");
    e.parent = whole;
    e.slice = Slice::kPiece;
    e.begin = begin;
    begin += e.columns;
  }
  return whole;
}

EdgeId GraphBuilder::causal_conv1d(EdgeId x, int32_t weight, int32_t bias, Activation activation,
                                   const std::string& name) {
  const auto channels = static_cast<int32_t>(shape_of(weight)[0]), taps = static_cast<int32_t>(shape_of(weight)[1]);
  const int32_t memory = state("conv_state", {taps - 1, channels}, x);
  return append(Op::kCausalConv1d, name, {x}, channels, {weight, bias}, ConvAttributes{activation}, memory);
}

EdgeId GraphBuilder::selective_scan(EdgeId x, EdgeId dt, EdgeId b, EdgeId c, int32_t a_log, int32_t d, int32_t dt_bias,
                                    const std::string& name) {
  const auto channels = static_cast<int32_t>(shape_of(a_log)[0]), states = static_cast<int32_t>(shape_of(a_log)[1]);
  const int32_t memory = state("ssm_state", {states, channels}, kNone);
  return append(Op::kSelectiveScan, name, {x, dt, b, c}, channels, {a_log, d, dt_bias}, {}, memory);
}

EdgeId GraphBuilder::ssd_scan(EdgeId x, EdgeId dt, EdgeId b, EdgeId c, int32_t a_log, int32_t d, int32_t dt_bias,
                              const std::vector<int32_t>& shape, const SsdAttributes& attributes,
                              const std::string& name) {
  const int32_t memory = state("ssm_state", shape, kNone);
  return append(Op::kSsdScan, name, {x, dt, b, c}, int64_t{shape[0]} * shape[2], {a_log, d, dt_bias}, attributes,
                memory);
}

EdgeId GraphBuilder::gate(EdgeId y, EdgeId z, const std::string& name) {
  return append(Op::kGate, name, {y, z}, graph_.edges[static_cast<size_t>(y)].columns, {});
}

EdgeId GraphBuilder::gated_rms_norm(EdgeId y, EdgeId z, int32_t weight, const GatedNormAttributes& attributes,
                                    const std::string& name) {
  return append(Op::kGatedRmsNorm, name, {y, z}, graph_.edges[static_cast<size_t>(y)].columns, {weight}, attributes);
}

EdgeId GraphBuilder::hadamard(EdgeId x, bool transposed, const std::string& name) {
  const int32_t columns = graph_.edges[static_cast<size_t>(x)].columns;
  QUAMBA2_CHECK(has_hadamard(columns), scope_ + name + ": no Hadamard matrix of order " + std::to_string(columns));
  return append(Op::kHadamard, name, {x}, columns, {}, HadamardAttributes{transposed});
}

EdgeId GraphBuilder::add(EdgeId a, EdgeId b, const std::string& name) {
  const int32_t writer = graph_.producer(b);
  if (writer != kNone && graph_.nodes[static_cast<size_t>(writer)].op == Op::kLinear) {
    require_width(graph_.nodes[static_cast<size_t>(writer)].weights[0], 0, a);
  }
  return append(Op::kAdd, name, {a, b}, graph_.edges[static_cast<size_t>(a)].columns, {});
}

EdgeId GraphBuilder::convert(EdgeId x, const std::string& name) {
  return append(Op::kConvert, name, {x}, graph_.edges[static_cast<size_t>(x)].columns, {});
}

Graph GraphBuilder::finish(EdgeId logits) {
  graph_.logits = logits;
  verify(graph_);
  return std::move(graph_);
}

std::vector<std::string> GraphBuilder::unused() const {
  std::vector<std::string> out;
  for (const auto& [name, weight] : source_) {
    if (!taken_.count(name)) out.push_back(name);
  }
  return out;
}

}  // namespace quamba2
