// SPDX-License-Identifier: Apache-2.0
#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(uint64_t seed, size_t count, double ties = 0) {
  Random random(seed);
  std::vector<float> logits(count);
  for (float& l : logits) {
    l = static_cast<float>(2 * random.normal());
    if (random.uniform() < ties) l = std::round(l);
  }
  return logits;
}

// The same by sorting the whole row: probabilities of every id, 0 where it is filtered out.
std::vector<double> model_of(const std::vector<float>& logits, const SamplingOptions& o) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (o.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(o.top_k)));
  std::vector<double> p(logits.size(), 0);
  const auto normalize = [&] {
    double sum = 0;
    for (const size_t id : order) sum += p[id];
    for (const size_t id : order) p[id] /= sum;
  };
  for (const size_t id : order) p[id] = std::exp((static_cast<double>(logits[id]) - logits[order[0]]) / o.temperature);
  normalize();
  double sum = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (sum >= o.top_p || p[order[i]] < o.min_p * p[order[0]])
      p[order[i]] = 0;
    else
      sum += p[order[i]];
  }
  normalize();
  return p;
}

// Draws often and compares with the probabilities: nothing filtered comes out, and chi-squared is not absurd.
void expect_distribution(const std::vector<float>& logits, const SamplingOptions& o, const std::vector<double>& p) {
  constexpr int kDraws = 20000;
  Sampler sampler(o, static_cast<int64_t>(logits.size()));
  std::vector<int> count(logits.size(), 0);
  for (int i = 0; i < kDraws; ++i) {
    std::vector<float> row = logits;
    ++count[static_cast<size_t>(sampler.sample(row))];
  }
  double chi = 0, rest_expected = 0, rest_seen = 0;
  int cells = 0;
  for (size_t id = 0; id < p.size(); ++id) {
    const double expected = kDraws * p[id];
    if (p[id] == 0) {
      EXPECT_EQ(count[id], 0) << "id " << id << " is filtered out";
    }
    if (expected < 5) {  // too rare for the approximation: all of these count as one
      rest_expected += expected;
      rest_seen += count[id];
      continue;
    }
    chi += (count[id] - expected) * (count[id] - expected) / expected;
    ++cells;
  }
  if (rest_expected >= 5) chi += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
  // Mean `cells`, variance twice that; 5 standard deviations and a constant for few cells. Seeds are fixed.
  EXPECT_LT(chi, cells + 5 * std::sqrt(2.0 * cells) + 10);
}

SamplingOptions drawing(double temperature = 1) {
  SamplingOptions o;
  o.temperature = temperature;
  o.seed = 7;
  return o;
}

TEST(Sampler, EachFilterGivesTheDistributionOfTheModel) {
  const std::vector<float> logits = random_logits(1, 300, 0.3);
  std::vector<SamplingOptions> all(9, drawing());
  all[1].temperature = 0.5;
  all[2].top_k = 5;
  all[3].top_p = 0.6;
  all[4].min_p = 0.2;
  all[5].top_k = 40, all[5].top_p = 0.5;
  all[6].top_k = 299, all[6].top_p = 0.999, all[6].min_p = 0.01, all[6].temperature = 1.7;
  all[7].top_k = 1000;                          // more than there are: off
  all[8].top_p = 0.9, all[8].temperature = 30;  // nearly all of a flat row is needed
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    expect_distribution(logits, all[i], model_of(logits, all[i]));
  }
}

TEST(Sampler, KeepsTheIdsOfTheModelForManyRows) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const std::vector<float> logits = random_logits(seed + 1000, static_cast<size_t>(1 + random.below(3000)), 0.5);
    SamplingOptions o = drawing(0.2 + 2 * random.uniform());
    if (random.uniform() < 0.5) o.top_k = 1 + random.below(200);
    if (random.uniform() < 0.7) o.top_p = 0.02 + 0.95 * random.uniform();
    if (random.uniform() < 0.3) o.min_p = random.uniform();
    const std::vector<double> p = model_of(logits, o);
    Sampler sampler(o, static_cast<int64_t>(logits.size()));
    for (int i = 0; i < 20; ++i) {
      std::vector<float> row = logits;
      const int32_t id = sampler.sample(row);
      ASSERT_GT(p[static_cast<size_t>(id)], 0) << "seed " << seed;
    }
  }
}

TEST(Sampler, GreedyTakesTheLowestOfEqualIdsAndNoPadding) {
  std::vector<float> row = {1, 3, 3, 2, 9, 9};  // the last two are padding
  Sampler sampler(SamplingOptions{}, 4);
  EXPECT_EQ(sampler.sample(row), 1);
  Sampler drawn(drawing(100), 4);
  for (int i = 0; i < 500; ++i) EXPECT_LT(drawn.sample(row), 4);
}

TEST(Sampler, TopOneIsGreedyAlsoForTies) {
  SamplingOptions o = drawing(5);
  o.top_k = 1;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<float> row = random_logits(seed, 500, 1);
    Sampler one(o, 500), greedy(SamplingOptions{}, 500);
    EXPECT_EQ(one.sample(row), greedy.sample(row));
  }
}

TEST(Sampler, TheSeedDecides) {
  const std::vector<float> logits = random_logits(3, 1000);
  const auto draw = [&](uint64_t seed) {
    SamplingOptions o = drawing();
    o.seed = seed;
    Sampler sampler(o, 1000);
    std::vector<int32_t> ids;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> row = logits;
      ids.push_back(sampler.sample(row));
    }
    return ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(Sampler, Penalties) {
  SamplingOptions o;
  o.repetition_penalty = 2;
  o.presence_penalty = 0.5;
  o.frequency_penalty = 0.25;
  Sampler sampler(o, 4);
  sampler.observe_prompt(std::vector<int32_t>{0, 3, 99, -1});  // ids of no token count as nothing
  sampler.accept(1);
  sampler.accept(1);
  sampler.accept(3);
  // Row and penalized row: the likeliest changes where a penalty is forgotten or counted once too often.
  // id 0: 4 / 2; id 1: -1 * 2 - 0.5 - 2 * 0.25 = -3; id 3: 4 / 2 - 0.5 - 0.25 = 1.25; id 2 as it is.
  EXPECT_EQ(sampler.sample(std::vector<float>{4, -1, 1.99f, 4, 77}), 0);
  EXPECT_EQ(sampler.sample(std::vector<float>{4, -1, 2.01f, 4, 77}), 2);
  EXPECT_EQ(sampler.sample(std::vector<float>{-9, -1, -2.99f, -9, 77}), 2);
  EXPECT_EQ(sampler.sample(std::vector<float>{-9, -1, -3.01f, -9, 77}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-9, -9, 1.24f, 4, 77}), 3);
  EXPECT_EQ(sampler.sample(std::vector<float>{-9, -9, 1.26f, 4, 77}), 2);
}

TEST(Sampler, BiasIsAdded) {
  SamplingOptions o;
  o.logit_bias = {{1, 2}, {3, -100}, {1, 0.5}, {-1, 9}, {4, 9}};  // the last two are no tokens
  Sampler sampler(o, 4);
  EXPECT_EQ(sampler.sample(std::vector<float>{2.4f, 0, 1, 90, 77}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{2.6f, 0, 1, 90, 77}), 0);
}

TEST(Sampler, EndsAreForbiddenBeforeMinTokens) {
  SamplingOptions o;
  o.min_tokens = 2;
  Sampler sampler(o, 4);
  sampler.forbid_at_first(std::vector<int32_t>{1, 2, 99});
  const std::vector<float> row = {1, 3, 2, 0};
  EXPECT_EQ(sampler.sample(row), 0);
  sampler.accept(0);
  EXPECT_EQ(sampler.sample(row), 0);
  sampler.accept(0);
  EXPECT_EQ(sampler.sample(row), 1);
}

TEST(Sampler, Masks) {
  std::vector<float> single(100, -kInfinity);
  single[42] = -5;
  std::vector<SamplingOptions> all = {SamplingOptions{}, drawing(), drawing(), drawing(), drawing()};
  all[2].top_k = 10;
  all[3].top_p = 0.99;
  all[4].min_p = 1;
  for (const SamplingOptions& o : all) {
    std::vector<float> row = single;
    Sampler sampler(o, 100);
    EXPECT_EQ(sampler.sample(row), 42);
    std::vector<float> none(100, -kInfinity);
    EXPECT_THROW(sampler.sample(none), Error);
    std::vector<float> broken(100, 0.0f);
    broken[99] = std::nanf("");
    EXPECT_THROW(sampler.sample(broken), Error);
    std::vector<float> certain(100, 0.0f);
    certain[17] = kInfinity;
    EXPECT_EQ(sampler.sample(certain), 17);
  }
}

TEST(Sampler, TinyTemperatureIsGreedy) {
  std::vector<float> row = random_logits(5, 100);
  Sampler cold(drawing(1e-300), 100), greedy(SamplingOptions{}, 100);
  EXPECT_EQ(cold.sample(row), greedy.sample(row));
}

TEST(Sampler, OptionsOutOfRangeAreNamed) {
  const double nan = std::nan(""), infinite = std::numeric_limits<double>::infinity();
  std::vector<std::pair<std::string, SamplingOptions>> bad;
  const auto add = [&](const std::string& name, auto member, std::initializer_list<double> values) {
    for (const double value : values) {
      SamplingOptions o;
      o.*member = static_cast<std::decay_t<decltype(o.*member)>>(value);
      bad.emplace_back(name, o);
    }
  };
  add("temperature", &SamplingOptions::temperature, {-0.1, nan, infinite});
  add("top_k", &SamplingOptions::top_k, {-1});
  add("top_p", &SamplingOptions::top_p, {0, -1, 1.01, nan});
  add("min_p", &SamplingOptions::min_p, {-0.1, 1.1, nan});
  add("repetition_penalty", &SamplingOptions::repetition_penalty, {0, -1, nan, infinite});
  add("presence_penalty", &SamplingOptions::presence_penalty, {-2.1, 2.1, nan});
  add("frequency_penalty", &SamplingOptions::frequency_penalty, {-2.1, 2.1, nan});
  add("max_tokens", &SamplingOptions::max_tokens, {-1});
  add("min_tokens", &SamplingOptions::min_tokens, {-1});
  bad.emplace_back("logit_bias", SamplingOptions{});
  bad.back().second.logit_bias = {{1, nan}};
  bad.emplace_back("stop", SamplingOptions{});
  bad.back().second.stop = {"a", ""};
  for (const auto& [name, options] : bad) {
    try {
      const Sampler sampler(options, 10);
      ADD_FAILURE() << name << " was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUsage);
      EXPECT_EQ(e.where(), name);
      EXPECT_FALSE(e.hint().empty());
    }
  }
}

}  // namespace
}  // namespace quamba2
