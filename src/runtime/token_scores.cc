// SPDX-License-Identifier: Apache-2.0
#include "runtime/token_scores.h"

#include <algorithm>

#include "tensor/distribution.h"

namespace quamba2 {
namespace {

// Keeps `best` sorted, largest first, at most `count` long. Ids come in ascending order: an equal one loses.
void offer(std::vector<std::pair<float, int32_t>>* best, size_t count, float logit, int32_t id) {
  if (best->size() == count && !(logit > best->back().first)) return;
  if (best->size() == count) best->pop_back();
  const auto at = std::find_if(best->begin(), best->end(), [&](const auto& b) { return logit > b.first; });
  best->insert(at, {logit, id});
}

}  // namespace

TokenReport score_token(std::span<const float> logits, int64_t vocab_size, int32_t id, int32_t count) {
  const double normalizer = log_sum_exp(logits.data(), static_cast<int64_t>(logits.size()));
  TokenReport report{id, logits[static_cast<size_t>(id)] - normalizer};
  const auto kept = static_cast<size_t>(std::min<int64_t>(count, vocab_size));
  if (kept == 0) return report;
  std::vector<std::pair<float, int32_t>> best;
  best.reserve(kept + 1);
  for (int32_t i = 0; i < vocab_size; ++i) offer(&best, kept, logits[static_cast<size_t>(i)], i);
  for (const auto& [logit, i] : best) report.top.push_back({i, logit - normalizer});
  return report;
}

}  // namespace quamba2
