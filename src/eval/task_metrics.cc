// SPDX-License-Identifier: Apache-2.0
#include "eval/task_metrics.h"

#include <cmath>
#include <limits>

#include "text/utf8.h"

namespace quamba2 {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// The first of the largest.
size_t best(std::span<const Score> scores, const std::vector<double>& lengths) {
  size_t at = 0;
  const auto value = [&](size_t i) { return scores[i].log_likelihood / (lengths.empty() ? 1.0 : lengths[i]); };
  for (size_t i = 1; i < scores.size(); ++i) {
    if (value(i) > value(at)) at = i;
  }
  return at;
}

}  // namespace

TaskMetric aggregate(const MetricRule& rule, std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (double v : values) mean += v;
  mean /= n;  // as lm-evaluation-harness has it, to the last digit
  for (double v : values) squares += (v - mean) * (v - mean);
  TaskMetric out{rule.name, mean, n > 1 ? std::sqrt(squares / (n - 1) / n) : kUnknown};
  if (rule.aggregate == Aggregate::kPerplexity) {
    out.value = std::exp(-mean);
    out.standard_error *= out.value;
  }
  return out;
}

double pooled_standard_error(std::span<const std::pair<double, int64_t>> groups) {
  double squares = 0, freedom = 0, n = 0;
  for (const auto& [error, size] : groups) {
    const auto samples = static_cast<double>(size);
    if (size > 1) squares += (samples - 1) * error * error * samples;
    freedom += samples - 1;
    n += samples;
  }
  return freedom > 0 ? std::sqrt(squares / freedom / n) : kUnknown;
}

std::vector<double> judge_choices(const TaskItem& item, std::span<const Score> scores) {
  const auto gold = static_cast<size_t>(item.gold);
  std::vector<double> out = {best(scores, {}) == gold ? 1.0 : 0.0};
  if (!item.lengths.empty()) out.push_back(best(scores, item.lengths) == gold ? 1.0 : 0.0);
  return out;
}

double character_count(const std::string& text) {
  double n = 0;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) ++n;
  return n;
}

}  // namespace quamba2
