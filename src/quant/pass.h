// SPDX-License-Identifier: Apache-2.0
// What a quantization pass is, and what it works on: one part of the model at a time (graph/part.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/model.h"
#include "quant/calibration.h"

namespace quamba2 {

// What is true of a part between passes.
enum class Fact : uint32_t {
  kNormsFolded = 1,      // norms in front of linears have weights of one
  kResidualRotated = 2,  // the residual stream is H times the original
  kClustered = 4,        // channels and heads of x lie in clusters of like magnitude
  kInnerRotated = 8,     // out_proj reads H times the inner channels, which can no longer be reordered
  kFormats = 16,         // every tensor and edge knows its target format
  kRanges = 32,          // the ranges of edges and states with static scales are known
  kActivations = 64,     // edges and states are stored in their target formats
  kEncoded = 128,        // so are weights
};
using Facts = uint32_t;
constexpr Facts facts() { return 0; }
template <class... More>
constexpr Facts facts(Fact first, More... more) {
  return static_cast<Facts>(first) | facts(more...);
}
std::string fact_text(Fact fact);

// Which columns of an activation (numbers of a state) have a scale in common, beyond what the format's grain says.
enum class Sharing : uint8_t { kNothing, kCluster, kGroup };

struct ActivationTarget {
  Format format;
  double percentile = 0;  // clip a scale a tensor there; 0: the largest magnitude
  Sharing sharing = Sharing::kNothing;
};

// A layer, or the head together with the embedding, on its way.
struct QuantPart {
  int64_t index = 0;
  bool head = false;
  bool tied = false;  // the head's table is the embedding's
  Graph graph;
  std::map<int32_t, Format> weights;  // targets, by index; absent ones stay as they are
  std::map<EdgeId, ActivationTarget> edges;
  std::map<int32_t, ActivationTarget> states;
  Ranges ranges;
  std::vector<int32_t> clusters;  // of every channel of x, once clustered
  Transforms transforms;          // that this part has been through

  std::string name() const { return head ? "head" : "layer " + std::to_string(index); }
};

struct PassContext {
  Calibration& calibration;
  std::string detail;  // for the report; a pass may set it
};

struct Pass {
  std::string name;
  Facts needs = 0, gives = 0, stales = 0;
  bool keeps_function = false;  // then the part's outputs on a probe batch may not move
  std::function<void(QuantPart& part, PassContext& context)> run;
  // Why the pass is left out for this model; empty where it is not.
  std::function<std::string(const ModelData& model)> left_out = {};
  bool needs_text = false;  // it reads calibration text
};

}  // namespace quamba2
