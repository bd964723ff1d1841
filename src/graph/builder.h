// SPDX-License-Identifier: Apache-2.0
// Appends operations to a graph. An architecture's emit() is a straight-line program over this, and should read like
// the paper.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace quamba2 {

class GraphBuilder {
 public:
  // Weights are handed over; those that no operation asks for are listed by `unused`.
  explicit GraphBuilder(WeightMap weights) : source_(std::move(weights)) {}

  // Names of edges, nodes and states get this prefix ("layers.3.").
  void set_scope(std::string prefix) { scope_ = std::move(prefix); }

  // A weight by its checkpoint name, as it is stored. `require` throws Error{kModelFile} where it is absent or its shape
  // differs from the expected one; a dimension of -1 fits anything. `find` gives kNone where absent.
  int32_t require(const std::string& name, const std::vector<int64_t>& shape);
  int32_t find(const std::string& name, const std::vector<int64_t>& shape);
  // The same, as f32 (small parameters: decays, biases, norm weights). Trailing shape [C, 1, K] is read as [C, K].
  int32_t require_f32(const std::string& name, const std::vector<int64_t>& shape);
  int32_t find_f32(const std::string& name, const std::vector<int64_t>& shape);
  const std::vector<int64_t>& shape_of(int32_t weight) const;
  // Says what the dimensions of a weight mean; kNone is passed over. Lengths must add up to the shape.
  void label(int32_t weight, std::vector<Axis> axes);

  EdgeId embed(int32_t table, const std::string& name);
  EdgeId select_rows(EdgeId x, const std::string& name);
  EdgeId rms_norm(EdgeId x, int32_t weight, double eps, const std::string& name);
  EdgeId layer_norm(EdgeId x, int32_t weight, int32_t bias, double eps, const std::string& name);
  EdgeId linear(EdgeId x, int32_t weight, int32_t bias, const std::string& name);
  // Columns of `x` as parts, named and sized; a part of width 0 gives kNone.
  template <size_t n>
  std::array<EdgeId, n> split(EdgeId x, const std::array<std::pair<const char*, int64_t>, n>& parts) {
    std::array<EdgeId, n> out;
    int64_t begin = 0;
    for (size_t i = 0; i < n; ++i) {
      out[i] = parts[i].second == 0 ? kNone : slice(x, parts[i].first, begin, parts[i].second, Slice::kPart);
      begin += parts[i].second;
    }
    return out;
  }
  // An edge made of the columns of several, side by side; they become pieces of it.
  EdgeId concat(const std::vector<EdgeId>& edges, const std::string& name);
  EdgeId causal_conv1d(EdgeId x, int32_t weight, int32_t bias, Activation activation, const std::string& name);
  EdgeId selective_scan(EdgeId x, EdgeId dt, EdgeId b, EdgeId c, int32_t a_log, int32_t d, int32_t dt_bias,
                        const std::string& name);
  // state is [H, N, P].
  EdgeId ssd_scan(EdgeId x, EdgeId dt, EdgeId b, EdgeId c, int32_t a_log, int32_t d, int32_t dt_bias,
                  const std::vector<int32_t>& state, const SsdAttributes& attributes, const std::string& name);
  EdgeId gate(EdgeId y, EdgeId z, const std::string& name);
  EdgeId gated_rms_norm(EdgeId y, EdgeId z, int32_t weight, const GatedNormAttributes& attributes,
                        const std::string& name);
  // H x, or H^T x; the width must have a Hadamard matrix (tensor/hadamard.h).
  EdgeId hadamard(EdgeId x, bool transposed, const std::string& name);
  EdgeId add(EdgeId a, EdgeId b, const std::string& name);
  // The same numbers in the format of another edge.
  EdgeId convert(EdgeId x, const std::string& name);

  // Checks the list and gives it away.
  Graph finish(EdgeId logits);
  std::vector<std::string> unused() const;

 private:
  int32_t take(const std::string& name, const std::vector<int64_t>& shape, bool required, bool as_f32);
  // Throws Error{kModelFile} naming the weight where its dimension is not as wide as the edge.
  void require_width(int32_t weight, size_t dimension, EdgeId edge) const;
  EdgeId edge(const std::string& name, int64_t columns, RowKind rows);
  EdgeId slice(EdgeId parent, const char* name, int64_t begin, int64_t columns, Slice kind);
  int32_t state(const std::string& name, std::vector<int32_t> shape, EdgeId like);
  EdgeId append(Op op, const std::string& name, std::vector<EdgeId> inputs, int64_t columns,
                std::vector<int32_t> weights, Attributes attributes = {}, int32_t state = kNone);

  WeightMap source_;
  std::map<std::string, int32_t> taken_;
  Graph graph_;
  std::string scope_;
};

}  // namespace quamba2
