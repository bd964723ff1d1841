// SPDX-License-Identifier: Apache-2.0
#include "quant/search.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

// Twelve layers; the second choice costs one and takes away what the layer is worth.
struct Toy {
  SearchSpace space{2, std::vector<std::vector<double>>(12, {0.0, 1.0})};
  std::vector<double> worth = {5, 1, 4, 1, 3, 9, 2, 6, 5, 3, 5, 8};
  mutable int asked = 0;

  double operator()(const Genome& g) const {
    ++asked;
    double loss = 100;
    for (size_t l = 0; l < g.size(); ++l) loss -= g[l] ? worth[l] : 0;
    // Two neighbours together are worth less than their sum: what a greedy choice does not see.
    for (size_t l = 1; l < g.size(); ++l) loss += g[l] && g[l - 1] ? 3 : 0;
    return loss;
  }
  double best(int most) const {
    double out = INFINITY;
    for (int bits = 0; bits < 1 << 12; ++bits) {
      Genome g;
      for (int l = 0; l < 12; ++l) g.push_back(static_cast<uint8_t>(bits >> l & 1));
      if (space.cost(g) <= most) out = std::min(out, (*this)(g));
    }
    return out;
  }
};

TEST(Search, FindsWhatGreedyMisses) {
  const Toy toy;
  const std::vector<Candidate> all = search_lists(toy.space, {5, 16, 20, 0}, std::cref(toy));
  EXPECT_EQ(best_within(all, 5).loss, toy.best(5));
}

TEST(Search, SameSeedAsksTheSameQuestions) {
  const Toy toy;
  const auto genomes = [&](uint64_t seed) {
    std::vector<Genome> order;
    search_lists(toy.space, {5, 8, 4, seed}, [&](const Genome& g) { return order.push_back(g), toy(g); });
    return order;
  };
  EXPECT_EQ(genomes(3), genomes(3));
  EXPECT_NE(genomes(3), genomes(4));
}

TEST(Search, NeverAsksTwiceNorMoreThanItSays) {
  const Toy toy;
  std::map<Genome, int> count;
  const SearchSettings settings{5, 8, 4, 0};
  search_lists(toy.space, settings, [&](const Genome& g) { return ++count[g], toy(g); });
  for (const auto& [genome, n] : count) EXPECT_EQ(n, 1);
  EXPECT_LE(static_cast<int64_t>(count.size()), most_evaluations(toy.space, settings));
}

TEST(Search, EqualCostsAndOneLayer) {
  const SearchSpace space{3, {{1, 1, 1}}};
  const auto loss = [](const Genome& g) { return g[0] == 1 ? 0.0 : 1.0; };
  EXPECT_EQ(best_within(search_lists(space, {1, 4, 2, 0}, loss), 1).genome, Genome{1});
}

TEST(Search, BudgetThatCannotBeMetIsAnError) {
  const Toy toy;
  EXPECT_THROW(search_lists(toy.space, {-1, 4, 2, 0}, std::cref(toy)), Error);
}

TEST(ParetoFront, KeepsWhatNoOtherBeats) {
  const std::vector<Candidate> front =
      pareto_front({{{0}, 5, 1}, {{1}, 4, 2}, {{2}, 4.5, 2}, {{3}, 4, 3}, {{4}, 1, 4}, {{5}, 6, 1}});
  ASSERT_EQ(front.size(), 3u);
  EXPECT_EQ(front[0].genome, Genome{0});
  EXPECT_EQ(front[1].genome, Genome{1});
  EXPECT_EQ(front[2].genome, Genome{4});
}

}  // namespace
}  // namespace quamba2
