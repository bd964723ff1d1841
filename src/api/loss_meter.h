// SPDX-License-Identifier: Apache-2.0
// KL divergence of many models against one on the same text: the reference reads it once, its logits stay in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "graph/model.h"
#include "quamba2/evaluate.h"
#include "quamba2/quantize.h"

namespace quamba2 {

class LossMeter {
 public:
  // `options` says threads and tokenizer. Throws Error{kResource} where the logits would take more than 4 GB.
  LossMeter(const ModelData& reference, const std::string& text, const PerplexityOptions& windows,
            const QuantizeOptions& options);
  double mean_kl(const ModelData& model);

 private:
  PerplexityOptions windows_;
  std::shared_ptr<const Backend> backend_;
  std::vector<int32_t> ids_;
  int64_t rows_ = 0;
  std::vector<float> logits_;     // [prediction, rows]
  std::vector<double> log_sums_;  // log_sum_exp of each
};

}  // namespace quamba2
