// SPDX-License-Identifier: Apache-2.0
// A model as a flat list of operations. Emitted once by an architecture; formats on its edges and weights make it a
// quantized model; a back end's plan runs it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "graph/weight.h"
#include "ops/causal_conv1d.h"
#include "ops/gate.h"

namespace quamba2 {

using EdgeId = int32_t;
constexpr int32_t kNone = -1;

// What the rows of an edge are: all tokens of a call, or the selected ones that need logits.
enum class RowKind : uint8_t { kTokens, kSelected };

// How an edge relates to its parent. A part is a range of columns of its producer's output that has its own buffer and
// format (the parent then has none). A piece is a range of columns inside the parent's buffer.
enum class Slice : uint8_t { kWhole, kPart, kPiece };

// How numbers on an edge or in a state are stored: integers come with static scales, [1] or one a column (of a
// state [E] or [H, P], or [N, E] or [H, N, P]: one a number), or none where they are dynamic: an edge then has one a row,
// a state one a channel and block of N, which are part of it.
struct Encoding {
  Format format;
  Tensor scales;
};

struct Edge {
  std::string name;  // "layers.3.z"
  int32_t columns = 0;
  RowKind rows = RowKind::kTokens;
  Encoding encoding;  // a float by default: the back end's own float type
  EdgeId parent = kNone;
  Slice slice = Slice::kWhole;
  int32_t begin = 0;  // first column inside the parent
};

// The memory of one recurrent operation, a slot a sequence.
struct State {
  std::string name;            // "layers.3.ssm_state"
  std::vector<int32_t> shape;  // without the slot: [K - 1, C], [N, E] or [H, N, P]
  Encoding encoding;
  EdgeId like = kNone;  // takes the encoding of this edge (the conv state holds its input as it is)
};

// Channels of a state over all its heads: H * P, or E; and dynamic scales: one a channel and block of N.
int64_t state_channels(const State& state);
int64_t dynamic_state_scales(const State& state);
// Whether a state may have scales of this shape.
bool fits_state_scales(const State& state, const std::vector<int64_t>& scales);

enum class Op : uint8_t {
  kEmbed,
  kSelectRows,
  kRmsNorm,
  kLayerNorm,
  kLinear,
  kCausalConv1d,
  kSelectiveScan,
  kSsdScan,
  kGate,
  kGatedRmsNorm,
  kHadamard,
  kAdd,
  kConvert
};

const char* name_of(Op op);  // "ssd_scan"

struct NormAttributes {
  double eps = 1e-5;
};
struct GatedNormAttributes {
  double eps = 1e-5;
  int32_t groups = 1;
  bool norm_before_gate = false;
  Rotation rotation = Rotation::kNone;  // as of a hadamard that reads the output: made by plans (backend/fuse.h)
};
struct GateAttributes {
  Rotation rotation = Rotation::kNone;
};
struct ConvAttributes {
  Activation activation = Activation::kSilu;
};
struct SsdAttributes {
  int32_t groups = 1;
  double dt_min = 0, dt_max = 0;
};
struct HadamardAttributes {
  bool transposed = false;
};
using Attributes = std::variant<std::monostate, NormAttributes, GatedNormAttributes, ConvAttributes, SsdAttributes,
                                HadamardAttributes, GateAttributes>;

struct Node {
  Op op;
  std::string name;  // "layers.3.in_proj"
  std::vector<EdgeId> inputs;
  EdgeId output = kNone;
  std::vector<int32_t> weights;  // indices into Graph::weights; kNone where an optional one is absent
  int32_t state = kNone;
  Attributes attributes;
  // rms_norm of two inputs: where their sum goes. Made by plans (backend/fuse.h).
  EdgeId sum = kNone;
};

struct Graph {
  std::vector<Edge> edges;
  std::vector<Node> nodes;
  std::vector<Weight> weights;
  std::vector<State> states;
  EdgeId logits = kNone;  // of a part of a model: what it computes
  EdgeId input = kNone;   // of a part of a model: what the caller fills in

  EdgeId find_edge(const std::string& name) const;               // kNone where absent
  int32_t find_state(const std::string& name) const;             // kNone where absent
  int32_t find_weight(const std::string& name) const;            // kNone where absent
  std::vector<EdgeId> children(EdgeId edge, Slice slice) const;  // by their first column
  int32_t producer(EdgeId edge) const;  // index of the node that writes it (through its parent for a part); kNone
};

// Throws Error{kInternal} where the list is not well formed: an edge read before it is written, widths that differ,
// parts that do not cover their parent, scales of a wrong length, dynamic scales of an edge made of pieces (the writer of
// one does not see the whole row).
void verify(const Graph& graph);

// One line a node: name, operation, inputs, weights, formats.
std::string to_text(const Graph& graph);

}  // namespace quamba2
