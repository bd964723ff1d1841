// SPDX-License-Identifier: Apache-2.0
// From values of samples to metrics and their standard errors.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "eval/task.h"

namespace quamba2 {

// kMean: the sample standard deviation (n - 1) over sqrt(n). kPerplexity: that of the mean times the perplexity (first
// order; lm-evaluation-harness resamples instead, which gives the same for many samples). NaN for one sample.
TaskMetric aggregate(const MetricRule& rule, std::span<const double> values);

// Of the mean over several groups together, from their standard errors and sizes (pooled variance, as
// lm-evaluation-harness gives it for MMLU).
double pooled_standard_error(std::span<const std::pair<double, int64_t>> groups);

}  // namespace quamba2
