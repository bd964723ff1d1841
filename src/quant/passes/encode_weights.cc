// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "quant/encode.h"
#include "quant/passes/passes.h"
#include "tensor/convert.h"

namespace quamba2 {
namespace {

// Static INT8 scales from ranges: one for all columns, or one each.
Encoding encoding_for(const Format& format, const std::vector<float>* range) {
  Encoding out{format, {}};
  if (format.levels == 0 || format.dynamic) return out;
  QUAMBA2_CHECK(range != nullptr && format.storage == DType::kI8, "an integer edge without a range");
  std::vector<float> scales(*range);
  if (format.level[0].grain == Grain::kTensor) scales = {*std::max_element(range->begin(), range->end())};
  for (float& s : scales) s = bf16_at_least(s / 127.0f);  // files hold them as bf16
  const auto count = static_cast<int64_t>(scales.size());
  out.scales = Tensor::from({count}, scales);
  return out;
}

template <class Map, class Key>
const std::vector<float>* find_range(const Map& ranges, const Key& key) {
  const auto at = ranges.find(key);
  return at == ranges.end() ? nullptr : &at->second;
}

void encode(QuantModel& model, PassContext& context, ScaleChoice choice) {
  Graph& graph = model.model.graph;
  ProgressScope progress("encoding", static_cast<int64_t>(model.weights.size()));
  for (const auto& [index, format] : model.weights) {
    Weight& weight = graph.weights[static_cast<size_t>(index)];
    const std::vector<int64_t> shape = weight.values.shape();
    const Tensor source = weight.values;
    weight = encode_weight(weight.name, shape, decode_weight(weight), format, choice,
                           context.calibration.backend().stream());
    source.release_pages();
    progress.advance();
  }
  for (const auto& [id, format] : model.edges) {
    graph.edges[static_cast<size_t>(id)].encoding = encoding_for(format, find_range(model.ranges.edges, id));
  }
  for (const auto& [id, format] : model.states) {
    State& state = graph.states[static_cast<size_t>(id)];
    state.encoding = encoding_for(format, find_range(model.ranges.states, id));
    if (!state.encoding.scales.empty() && state.shape.size() == 3) {
      state.encoding.scales = state.encoding.scales.reinterpreted(DType::kF32, {state.shape[0], state.shape[2]});
    }
  }
  context.detail = std::to_string(model.weights.size()) + " weights";
}

}  // namespace

Pass encode_weights(ScaleChoice choice) {
  const auto run = [choice](QuantModel& model, PassContext& context) { encode(model, context, choice); };
  return {"encode_weights", facts(Fact::kFormats, Fact::kRanges), facts(Fact::kEncoded), 0, false, run};
}

}  // namespace quamba2
