// SPDX-License-Identifier: Apache-2.0
// Which recipe for which layer: an evolutionary search over lists of choices (arXiv 2503.22879, section 4.4), for the
// least loss under a budget. It knows nothing of models: loss and costs are handed in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace quamba2 {

using Genome = std::vector<uint8_t>;  // a choice for every layer

struct SearchSpace {
  int choices = 0;
  // Of a layer in a choice: [layers][choices]. A genome costs the sum; less is better.
  std::vector<std::vector<double>> costs;

  int64_t layers() const { return static_cast<int64_t>(costs.size()); }
  double cost(const Genome& genome) const;
};

struct SearchSettings {
  double limit = 0;  // what a genome may cost
  int population = 16;
  int generations = 12;
  uint64_t seed = 0;
};

struct Candidate {
  Genome genome;
  double loss = 0, cost = 0;
};

// Everything that was measured, the uniform lists among it, in the order of genomes. The search starts from what single
// layers gain (added up, best gain a cost first) and goes on by crossover and mutation within the budget. For a seed and
// equal costs it asks for the same genomes in the same order, so that a job that was ended goes on where `evaluate`
// remembers losses. Throws Error{kUsage} where even the cheapest list is over the limit.
std::vector<Candidate> search_lists(const SearchSpace& space, const SearchSettings& settings,
                                    const std::function<double(const Genome&)>& evaluate);

// How many evaluations that takes at most.
int64_t most_evaluations(const SearchSpace& space, const SearchSettings& settings);

// The least loss within the limit.
Candidate best_within(const std::vector<Candidate>& all, double limit);

// Those that no other beats in both loss and cost, cheapest first.
std::vector<Candidate> pareto_front(std::vector<Candidate> all);

}  // namespace quamba2
