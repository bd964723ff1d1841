// SPDX-License-Identifier: Apache-2.0
#include "ops/choose_token.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

struct Candidate {
  double logit;
  int32_t id;
  double weight;
};

double sum_of(const std::vector<Candidate>& all) {
  double sum = 0;
  for (const Candidate& c : all) sum += c.weight;
  return sum;
}

bool keeps_few(const TokenRule& rule) { return rule.top_k > 0 && rule.top_k < rule.vocabulary; }

// Leaves what a rule's filters leave of sorted candidates.
void filter(const TokenRule& rule, std::vector<Candidate>* sorted) {
  if (keeps_few(rule)) sorted->resize(static_cast<size_t>(rule.top_k));
  if (rule.top_p < 1) {
    const double wanted = rule.top_p * sum_of(*sorted);
    size_t kept = 0;
    for (double sum = 0; kept < sorted->size() && sum < wanted; ++kept) sum += (*sorted)[kept].weight;
    sorted->resize(std::max<size_t>(kept, 1));
  }
  std::erase_if(*sorted, [&](const Candidate& c) { return c.weight < rule.min_p || c.weight == 0; });
}

int32_t choose(const std::vector<double>& logits, const TokenRule& rule) {
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<Candidate> sorted;
  for (int32_t id = 0; id < rule.vocabulary; ++id) {
    const double logit = logits[static_cast<size_t>(id)];
    if (std::isnan(logit)) return not_a_number(id);
    sorted.push_back({logit, id, 0});
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  const double largest = sorted[0].logit;
  if (largest == -infinity) return kEveryLogitIsMinusInfinity;
  if (rule.temperature == 0) return sorted[0].id;
  for (Candidate& c : sorted) c.weight = c.logit == largest ? 1 : std::exp((c.logit - largest) / rule.temperature);
  filter(rule, &sorted);
  if (!keeps_few(rule) && rule.top_p >= 1)
    std::sort(sorted.begin(), sorted.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  double left = Random(rule.seed, rule.draws).uniform() * sum_of(sorted);
  for (const Candidate& c : sorted) {
    left -= c.weight;
    if (left < 0) return c.id;
  }
  return sorted.back().id;
}

}  // namespace

void reference_choose_token(const ChooseTokenArgs& args) {
  std::vector<double> row(static_cast<size_t>(row_length(args.logits.values)));
  for (int32_t r = 0; r < args.chosen.dim[0]; ++r) {
    for (size_t i = 0; i < row.size(); ++i) row[i] = decode_element(args.logits, r, static_cast<int64_t>(i));
    TokenRule& rule = static_cast<TokenRule*>(args.rules.data)[r];
    const int32_t id = choose(row, rule);
    if (rule.temperature != 0) ++rule.draws;
    static_cast<int32_t*>(args.chosen.data)[r] = id;
    static_cast<int32_t*>(args.next.data)[r] = std::max(id, 0);
  }
}

void reference_follow_tokens(const FollowTokensArgs& args) {
  auto* ids = static_cast<int32_t*>(args.ids.data);
  const auto* chosen = static_cast<const int32_t*>(args.chosen.data);
  for (int32_t t = 0; t < args.ids.dim[0]; ++t) {
    if (ids[t] < 0) ids[t] = std::max(chosen[-1 - ids[t]], 0);
  }
}

}  // namespace quamba2
