// SPDX-License-Identifier: Apache-2.0
#include "api/loss_meter.h"

#include <algorithm>

#include "api/engine_impl.h"
#include "backend/executor.h"
#include "eval/windows.h"
#include "quamba2/error.h"
#include "tensor/distribution.h"

namespace quamba2 {
namespace {

constexpr PlanLimits kLimits = {.max_tokens = 512, .max_selected = 64};
constexpr double kMostBytes = 4e9;

}  // namespace

LossMeter::LossMeter(const ModelData& reference, const std::string& text, const PerplexityOptions& windows,
                     const QuantizeOptions& options)
    : windows_(windows), backend_(make_backend("cpu", options.threads)) {
  ids_ = Tokenizer::load(options.tokenizer.empty() ? reference.directory : options.tokenizer)->encode(text);
  Executor executor(reference.graph, backend_, kLimits);
  rows_ = executor.table_rows();
  const int64_t predictions = prediction_count(ids_.size(), windows.window, windows.max_windows);
  if (static_cast<double>(predictions) * static_cast<double>(rows_) * sizeof(float) > kMostBytes) {
    throw Error(ErrorCode::kResource, "too much text to keep the logits of", "search",
                std::to_string(predictions) + " predictions of " + std::to_string(rows_) + " logits are over 4 GB",
                "take fewer or shorter windows");
  }
  logits_.resize(static_cast<size_t>(predictions * rows_));
  log_sums_.resize(static_cast<size_t>(predictions));
  Executor* const executors[] = {&executor};
  for_each_prediction(executors, ids_, windows.window, windows.max_windows, [&](const Prediction& p, int) {
    const size_t slot = slot_of(p, windows_.window);
    std::copy_n(p.logits[0], rows_, logits_.data() + static_cast<int64_t>(slot) * rows_);
    log_sums_[slot] = log_sum_exp(p.logits[0], rows_);
  });
}

double LossMeter::mean_kl(const ModelData& model) {
  Executor executor(model.graph, backend_, kLimits);
  std::vector<double> kl(log_sums_.size());
  Executor* const executors[] = {&executor};
  for_each_prediction(executors, ids_, windows_.window, windows_.max_windows, [&](const Prediction& p, int) {
    const size_t slot = slot_of(p, windows_.window);
    const float* wanted = logits_.data() + static_cast<int64_t>(slot) * rows_;
    kl[slot] = kl_divergence(wanted, log_sums_[slot], p.logits[0], log_sum_exp(p.logits[0], rows_), rows_);
  });
  double sum = 0;
  for (double v : kl) sum += v;
  return sum / static_cast<double>(kl.size());
}

}  // namespace quamba2
