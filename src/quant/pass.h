// SPDX-License-Identifier: Apache-2.0
// What a quantization pass is, and what it works on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/model.h"
#include "quant/calibration.h"

namespace quamba2 {

// What is true of a model between passes.
enum class Fact : uint32_t {
  kNormsFolded = 1,  // block norms have weights of one
  kFormats = 2,      // every tensor and edge knows its target format
  kRanges = 4,       // the ranges of edges and states with static scales are known
  kEncoded = 8,      // weights and edges are stored in their target formats
};
using Facts = uint32_t;
constexpr Facts facts() { return 0; }
template <class... More>
constexpr Facts facts(Fact first, More... more) {
  return static_cast<Facts>(first) | facts(more...);
}
std::string fact_text(Fact fact);

// A model on its way, with the formats that it is to have. Formats of integers have no scales yet.
struct QuantModel {
  ModelData& model;
  std::map<int32_t, Format> weights;  // by index; absent ones stay as they are
  std::map<EdgeId, Format> edges;
  std::map<int32_t, Format> states;
  Ranges ranges;
  Facts facts = 0;
};

struct PassContext {
  Calibration& calibration;
  std::string detail;  // for the report; a pass may set it
};

struct Pass {
  std::string name;
  Facts needs = 0, gives = 0, stales = 0;
  bool keeps_function = false;  // then logits on a probe batch may not move
  std::function<void(QuantModel& model, PassContext& context)> run;
};

}  // namespace quamba2
