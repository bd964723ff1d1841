// SPDX-License-Identifier: Apache-2.0
#include "eval/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "eval/windows.h"
#include "quamba2/error.h"
#include "tensor/distribution.h"

namespace quamba2 {
namespace {

struct Moments {
  double sum = 0, squares = 0;
  void add(double v) { sum += v, squares += v * v; }
  void add(const Moments& m) { sum += m.sum, squares += m.squares; }
  double mean(double n) const { return sum / n; }
  double standard_error(double n) const { return std::sqrt(std::max(0.0, squares / n - mean(n) * mean(n)) / n); }
};

// Of one model. Everything by prediction, so that totals do not depend on the number of threads.
struct Tally {
  explicit Tally(size_t n) : nll(n), kl(n), same(n) {}
  std::vector<double> nll, kl;
  std::vector<char> same;
};

size_t predictions_of(std::span<const int32_t> ids, const PerplexityOptions& options) {
  return static_cast<size_t>(prediction_count(ids.size(), options.window, options.max_windows));
}

Perplexity summarize(const std::vector<double>& nll, size_t tokens, const PerplexityOptions& options, double seconds) {
  Perplexity out;
  Moments m;
  for (double v : nll) m.add(v);
  const auto n = static_cast<double>(nll.size());
  out.nll = m.mean(n);
  if (!std::isfinite(out.nll)) {
    throw Error(ErrorCode::kRuntime, "logits are not finite", "", "the model gave NaN or infinity on this text",
                "check the weights, or quantize again with more calibration text");
  }
  out.perplexity = std::exp(out.nll);
  out.standard_error = out.perplexity * m.standard_error(n);
  out.tokens = static_cast<int64_t>(tokens);
  out.windows = window_count(tokens, options.window, options.max_windows);
  out.predicted = static_cast<int64_t>(nll.size());
  out.seconds = seconds;
  const size_t first = std::min(nll.size(), static_cast<size_t>(options.window - 1));
  out.first_window.assign(nll.begin(), nll.begin() + static_cast<ptrdiff_t>(first));
  return out;
}

Comparison summarize(Tally* tally, size_t tokens, const PerplexityOptions& options, double seconds) {
  Comparison out;
  out.perplexity = summarize(tally->nll, tokens, options, seconds);
  const size_t n = tally->kl.size();
  const auto count = static_cast<double>(n);
  Moments kl;
  for (double v : tally->kl) kl.add(v);
  out.mean_kl = kl.mean(count);
  out.kl_standard_error = kl.standard_error(count);
  out.same_top_token = static_cast<double>(std::count(tally->same.begin(), tally->same.end(), 1)) / count;
  std::sort(tally->kl.begin(), tally->kl.end());
  out.kl_max = tally->kl.back();
  out.kl_p99 = tally->kl[std::min(n - 1, static_cast<size_t>(0.99 * count))];
  return out;
}

void check_same_vocabulary(const Executor& a, const Executor& b) {
  if (a.table_rows() == b.table_rows()) return;
  throw Error(
      ErrorCode::kUsage, "models cannot be compared", "",
      "their vocabularies have " + std::to_string(a.table_rows()) + " and " + std::to_string(b.table_rows()) + " rows",
      "compare a model with a quantized form of itself");
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Perplexity measure_perplexity(Executor& executor, std::span<const int32_t> ids, const PerplexityOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t rows = executor.table_rows();
  std::vector<double> nll(predictions_of(ids, options));
  Executor* const executors[] = {&executor};
  for_each_prediction(executors, ids, options.window, options.max_windows, [&](const Prediction& p, int) {
    nll[slot_of(p, options.window)] = log_sum_exp(p.logits[0], rows) - p.logits[0][p.target];
  });
  return summarize(nll, ids.size(), options, seconds_since(start));
}

Comparisons measure_differences(Executor& reference, std::span<Executor* const> others, std::span<const int32_t> ids,
                                const PerplexityOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t rows = reference.table_rows();
  std::vector<Executor*> executors = {&reference};
  for (Executor* other : others) {
    check_same_vocabulary(reference, *other);
    executors.push_back(other);
  }
  const size_t n = predictions_of(ids, options);
  std::vector<double> nll(n);
  std::vector<Tally> tallies(others.size(), Tally(n));
  for_each_prediction(executors, ids, options.window, options.max_windows, [&](const Prediction& p, int) {
    const size_t i = slot_of(p, options.window);
    const double lse = log_sum_exp(p.logits[0], rows);
    const int64_t top = argmax(p.logits[0], rows);
    nll[i] = lse - p.logits[0][p.target];
    for (size_t o = 0; o < tallies.size(); ++o) {
      const float* logits = p.logits[o + 1];
      const double other = log_sum_exp(logits, rows);
      tallies[o].nll[i] = other - logits[p.target];
      tallies[o].kl[i] = kl_divergence(p.logits[0], lse, logits, other, rows);
      tallies[o].same[i] = top == argmax(logits, rows);
    }
  });
  const double seconds = seconds_since(start);
  Comparisons out{summarize(nll, ids.size(), options, seconds), {}};
  for (Tally& tally : tallies) out.others.push_back(summarize(&tally, ids.size(), options, seconds));
  return out;
}

}  // namespace quamba2
