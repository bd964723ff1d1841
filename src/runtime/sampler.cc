// SPDX-License-Identifier: Apache-2.0
#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "quamba2/error.h"
#include "tensor/distribution.h"

namespace quamba2 {
namespace {

void require(bool good, const char* option, double value, const char* range) {
  if (good) return;
  std::string number = std::to_string(value);
  if (number.find('.') != std::string::npos) {  // 1.500000 reads as 1.5, 2.000000 as 2
    number.erase(number.find_last_not_of('0') + 1);
    if (number.back() == '.') number.pop_back();
  }
  throw Error(ErrorCode::kUsage, "bad sampling option", option, number + " is not in its range",
              std::string("give ") + range);
}

[[noreturn]] void refuse_nan(int64_t id) {
  throw Error(ErrorCode::kRuntime, "cannot sample", "token " + std::to_string(id), "its logit is not a number",
              "the model or its quantization is broken");
}

[[noreturn]] void refuse_minus_infinity() {
  throw Error(ErrorCode::kRuntime, "cannot sample", "", "every logit is -inf",
              "the model or its quantization is broken");
}

}  // namespace

void check_sampling_options(const SamplingOptions& o) {
  require(o.max_tokens >= 0, "max_tokens", static_cast<double>(o.max_tokens), "0 or more");
  require(std::isfinite(o.temperature) && o.temperature >= 0, "temperature", o.temperature,
          "a finite number, 0 or more");
  require(o.top_k >= 0, "top_k", static_cast<double>(o.top_k), "0 (off) or more");
  require(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "more than 0 and at most 1 (off)");
  require(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "0 (off) to 1");
  require(std::isfinite(o.repetition_penalty) && o.repetition_penalty > 0, "repetition_penalty", o.repetition_penalty,
          "a finite number over 0 (1 is off)");
  require(std::abs(o.presence_penalty) <= 2, "presence_penalty", o.presence_penalty, "-2 to 2 (0 is off)");
  require(std::abs(o.frequency_penalty) <= 2, "frequency_penalty", o.frequency_penalty, "-2 to 2 (0 is off)");
  require(o.min_tokens >= 0, "min_tokens", static_cast<double>(o.min_tokens), "0 (off) or more");
  for (const TokenBias& b : o.logit_bias) require(std::abs(b.bias) <= 100, "logit_bias", b.bias, "-100 to 100");
  for (const std::string& stop : o.stop) {
    if (stop.empty()) {
      throw Error(ErrorCode::kUsage, "bad sampling option", "stop", "an empty string ends every text",
                  "give text, or leave it out");
    }
  }
}

Sampler::Sampler(const SamplingOptions& options, int64_t vocab_size, uint64_t draws)
    : options_(options),
      vocab_size_(vocab_size),
      penalties_(options.repetition_penalty != 1 || options.presence_penalty != 0 || options.frequency_penalty != 0),
      random_(options.seed, draws) {
  check_sampling_options(options);
  std::erase_if(options_.logit_bias, [&](const TokenBias& b) { return b.id < 0 || b.id >= vocab_size; });
  QUAMBA2_CHECK(vocab_size > 0 && vocab_size <= std::numeric_limits<int32_t>::max(), "size of the vocabulary");
  if (penalties_) {
    is_seen_.resize(static_cast<size_t>(vocab_size));
    generated_.resize(static_cast<size_t>(vocab_size));
  }
}

void Sampler::forbid_at_first(std::span<const int32_t> ids) {
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocab_size_) forbidden_.push_back(id);
  }
}

void Sampler::note(int32_t id, bool generated) {
  if (!penalties_ || id < 0 || id >= vocab_size_) return;
  if (!is_seen_[static_cast<size_t>(id)]) {
    is_seen_[static_cast<size_t>(id)] = true;
    seen_.push_back(id);
  }
  if (generated) ++generated_[static_cast<size_t>(id)];
}

void Sampler::observe_prompt(std::span<const int32_t> ids) {
  for (const int32_t id : ids) note(id, false);
}

void Sampler::accept(int32_t id) {
  ++accepted_;
  note(id, true);
}

// The row with bias and penalties; `logits` itself where there are none.
std::span<const float> Sampler::adjusted(std::span<const float> logits) {
  const bool forbids = this->forbids();
  if (!penalties_ && !forbids && options_.logit_bias.empty()) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  for (const TokenBias& b : options_.logit_bias) adjusted_[static_cast<size_t>(b.id)] += static_cast<float>(b.bias);
  const auto repetition = static_cast<float>(options_.repetition_penalty);
  for (const int32_t id : seen_) {
    float& logit = adjusted_[static_cast<size_t>(id)];
    logit = logit > 0 ? logit / repetition : logit * repetition;
    const int32_t count = generated_[static_cast<size_t>(id)];
    if (count > 0) logit -= static_cast<float>(options_.presence_penalty + options_.frequency_penalty * count);
  }
  if (forbids) {
    for (const int32_t id : forbidden_) adjusted_[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
  }
  return adjusted_;
}

int32_t Sampler::sample(std::span<const float> logits) {
  QUAMBA2_CHECK(static_cast<int64_t>(logits.size()) >= vocab_size_, "a row of logits is shorter than the vocabulary");
  logits = logits.first(static_cast<size_t>(vocab_size_));
  if (has_nan(logits.data(), vocab_size_)) {
    const auto at = std::find_if(logits.begin(), logits.end(), [](float l) { return std::isnan(l); });
    refuse_nan(at - logits.begin());
  }
  logits = adjusted(logits);
  const auto top = static_cast<size_t>(argmax(logits.data(), vocab_size_));  // the first of equal ones
  const float largest = logits[top];
  if (largest == -std::numeric_limits<float>::infinity()) refuse_minus_infinity();
  if (options_.temperature == 0) return static_cast<int32_t>(top);
  const bool sorted = (options_.top_k > 0 && options_.top_k < vocab_size_) || options_.top_p < 1;
  return sorted ? draw_sorted(logits, largest) : draw(logits, largest);
}

std::optional<TokenRule> Sampler::rule(int64_t ahead) const {
  if (penalties_ || forbids() || !options_.logit_bias.empty()) return {};
  TokenRule rule;
  if (options_.temperature != 0) {
    rule.temperature = options_.temperature, rule.top_p = options_.top_p, rule.min_p = options_.min_p;
    rule.top_k = static_cast<int32_t>(std::min(options_.top_k, vocab_size_));
    rule.seed = options_.seed, rule.draws = draws() + static_cast<uint64_t>(ahead);
  }
  rule.vocabulary = static_cast<int32_t>(vocab_size_);
  return rule;
}

int32_t Sampler::take_chosen(int32_t chosen) {
  if (options_.temperature != 0) random_.next();
  if (chosen == kEveryLogitIsMinusInfinity) refuse_minus_infinity();
  if (chosen < 0) refuse_nan(not_a_number(chosen));
  return chosen;
}

// The probability of a token over that of the likeliest. Equal logits count 1 also where both are +inf.
double Sampler::weight(float logit, float largest) const {
  return logit == largest ? 1 : std::exp((static_cast<double>(logit) - largest) / options_.temperature);
}

int32_t Sampler::draw(std::span<const float> logits, float largest) {
  double total = 0;
  for (const float logit : logits) {
    const double w = weight(logit, largest);
    if (w >= options_.min_p) total += w;
  }
  double left = random_.uniform() * total;
  int32_t last = 0;  // where rounding leaves something over, the last candidate takes it
  for (size_t id = 0; id < logits.size(); ++id) {
    const double w = weight(logits[id], largest);
    if (w < options_.min_p || w == 0) continue;
    last = static_cast<int32_t>(id);
    left -= w;
    if (left < 0) break;
  }
  return last;
}

// Fills `largest_` with the `count` largest logits, largest first, lower ids first among equals. One pass over the row:
// a candidate is noted only where it beats the smallest of those that are known to be among the first `count`.
void Sampler::select_largest(std::span<const float> logits, size_t count) {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  const size_t room = 2 * count + 64;
  largest_.clear();
  bool bounded = false;
  float bound = 0;
  for (size_t id = 0; id < logits.size(); ++id) {
    if (bounded && logits[id] <= bound) continue;  // an equal one has the higher id and loses
    largest_.push_back({logits[id], static_cast<int32_t>(id)});
    if (largest_.size() < room) continue;
    const auto edge = largest_.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(largest_.begin(), edge, largest_.end(), before);
    bound = edge->logit;
    bounded = true;
    largest_.resize(count);
  }
  std::sort(largest_.begin(), largest_.end(), before);
  if (largest_.size() > count) largest_.resize(count);
}

// Sorts as much of the row as top-p needs: returns how many of `largest_` hold that share of the probability.
size_t Sampler::nucleus(std::span<const float> logits, float largest) {
  double total = 0;
  for (const float logit : logits) total += weight(logit, largest);
  const double wanted = options_.top_p * total;
  for (size_t count = 64;; count *= 8) {
    count = std::min(count, logits.size());
    select_largest(logits, count);
    double sum = 0;
    for (size_t i = 0; i < count; ++i) {
      sum += weight(largest_[i].logit, largest);
      if (sum >= wanted) return i + 1;
    }
    if (count == logits.size()) return count;  // rounding: the sum in this order stays below
  }
}

int32_t Sampler::draw_sorted(std::span<const float> logits, float largest) {
  size_t kept = 0;
  if (options_.top_k > 0 && options_.top_k < vocab_size_) {
    kept = static_cast<size_t>(options_.top_k);
    select_largest(logits, kept);
    if (options_.top_p < 1) {  // the share is that of what top-k left
      double total = 0, sum = 0;
      for (const Candidate& c : largest_) total += weight(c.logit, largest);
      for (kept = 0; kept < largest_.size();) {
        sum += weight(largest_[kept++].logit, largest);
        if (sum >= options_.top_p * total) break;
      }
    }
  } else {
    kept = nucleus(logits, largest);
  }
  double total = 0;
  size_t end = 0;
  for (; end < kept; ++end) {
    const double w = weight(largest_[end].logit, largest);
    if (w < options_.min_p || w == 0) break;  // sorted: no later one is likelier
    total += w;
  }
  double left = random_.uniform() * total;
  for (size_t i = 0; i < end; ++i) {
    left -= weight(largest_[i].logit, largest);
    if (left < 0) return largest_[i].id;
  }
  return largest_[end - 1].id;
}

}  // namespace quamba2
