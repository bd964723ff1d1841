// SPDX-License-Identifier: Apache-2.0
#include "quant/search.h"

#include <algorithm>
#include <limits>

#include "base/random.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kPrefixes = 8;  // of the greedy order, so that the front has points at all costs
constexpr int kTries = 50;        // at a child that was not seen before

// A layer in another choice than the cheapest, by itself.
struct Upgrade {
  size_t layer;
  uint8_t choice;
  double gain, cost;
  double worth() const { return cost > 0 ? gain / cost : gain > 0 ? kInfinity : -kInfinity; }
};

class Search {
 public:
  Search(const SearchSpace& space, const SearchSettings& settings, const std::function<double(const Genome&)>& evaluate)
      : space_(space), settings_(settings), evaluate_(evaluate), random_(settings.seed) {
    for (const auto& costs : space.costs) {
      cheapest_.push_back(static_cast<uint8_t>(std::min_element(costs.begin(), costs.end()) - costs.begin()));
    }
    if (space.cost(cheapest_) > settings.limit) {
      throw Error(ErrorCode::kUsage, "the budget cannot be met", "search",
                  "the cheapest list costs " + std::to_string(space.cost(cheapest_) / settings.limit) +
                      " times what is allowed",
                  "give a larger budget, or other choices");
    }
  }

  std::vector<Candidate> run() {
    for (int c = 0; c < space_.choices; ++c) loss(Genome(cheapest_.size(), static_cast<uint8_t>(c)));
    greedy();
    for (int g = 0; g < settings_.generations; ++g) next_generation();
    std::vector<Candidate> out;
    for (const auto& [genome, loss] : seen_) out.push_back({genome, loss, space_.cost(genome)});
    return out;
  }

 private:
  bool fits(const Genome& genome) const { return space_.cost(genome) <= settings_.limit; }

  double loss(const Genome& genome) {
    const auto at = seen_.find(genome);
    if (at != seen_.end()) return at->second;
    return seen_[genome] = evaluate_(genome);
  }

  // Gains of single layers taken as if they added up.
  void greedy() {
    const double base = loss(cheapest_);
    std::vector<Upgrade> upgrades;
    for (size_t l = 0; l < cheapest_.size(); ++l) {
      for (int c = 0; c < space_.choices; ++c) {
        if (c == cheapest_[l]) continue;
        Genome one = cheapest_;
        one[l] = static_cast<uint8_t>(c);
        const double cost = space_.costs[l][static_cast<size_t>(c)] - space_.costs[l][cheapest_[l]];
        upgrades.push_back({l, static_cast<uint8_t>(c), base - loss(one), cost});
      }
    }
    std::stable_sort(upgrades.begin(), upgrades.end(),
                     [](const auto& a, const auto& b) { return a.worth() > b.worth(); });
    std::vector<Genome> chain;
    Genome genome = cheapest_;
    for (const Upgrade& up : upgrades) {
      if (up.gain <= 0 || genome[up.layer] != cheapest_[up.layer]) continue;
      genome[up.layer] = up.choice;
      chain.push_back(genome);
    }
    const auto steps = static_cast<int64_t>(chain.size());
    for (int64_t k = 1; k <= std::min(kPrefixes, steps); ++k)
      loss(chain[static_cast<size_t>(k * steps / std::min(kPrefixes, steps) - 1)]);
    Genome within = cheapest_;  // as much of it as the budget holds, smaller upgrades behind ones that do not fit
    for (const Upgrade& up : upgrades) {
      Genome more = within;
      if (up.gain <= 0 || more[up.layer] != cheapest_[up.layer]) continue;
      more[up.layer] = up.choice;
      if (fits(more)) within = more;
    }
    loss(within);
  }

  std::vector<Candidate> population() const {
    std::vector<Candidate> out;
    for (const auto& [genome, loss] : seen_) {
      if (fits(genome)) out.push_back({genome, loss, space_.cost(genome)});
    }
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.loss < b.loss; });
    if (out.size() > static_cast<size_t>(settings_.population)) out.resize(static_cast<size_t>(settings_.population));
    return out;
  }

  void next_generation() {
    const std::vector<Candidate> parents = population();
    for (int i = 0; i < settings_.population; ++i) {
      for (int attempt = 0; attempt < kTries; ++attempt) {
        const Genome child = mutated(crossed(pick(parents).genome, pick(parents).genome));
        if (seen_.count(child)) continue;
        loss(child);
        break;
      }
    }
  }

  // The better of two.
  const Candidate& pick(const std::vector<Candidate>& from) {
    const auto a = static_cast<size_t>(random_.below(static_cast<int64_t>(from.size())));
    const auto b = static_cast<size_t>(random_.below(static_cast<int64_t>(from.size())));
    return from[std::min(a, b)];
  }

  Genome crossed(const Genome& a, const Genome& b) {
    Genome out = a;
    for (size_t l = 0; l < out.size(); ++l) {
      if (random_.below(2)) out[l] = b[l];
    }
    return out;
  }

  // One or two layers change; then layers fall back to the cheapest choice until the budget holds.
  Genome mutated(Genome genome) {
    const auto layers = static_cast<int64_t>(genome.size());
    for (int64_t n = 1 + random_.below(2); n > 0; --n)
      genome[static_cast<size_t>(random_.below(layers))] = static_cast<uint8_t>(random_.below(space_.choices));
    while (!fits(genome)) {
      std::vector<size_t> dear;
      for (size_t l = 0; l < genome.size(); ++l) {
        if (space_.costs[l][genome[l]] > space_.costs[l][cheapest_[l]]) dear.push_back(l);
      }
      if (dear.empty()) return cheapest_;
      const size_t l = dear[static_cast<size_t>(random_.below(static_cast<int64_t>(dear.size())))];
      genome[l] = cheapest_[l];
    }
    return genome;
  }

  const SearchSpace& space_;
  const SearchSettings& settings_;
  const std::function<double(const Genome&)>& evaluate_;
  Random random_;
  Genome cheapest_;
  std::map<Genome, double> seen_;
};

}  // namespace

double SearchSpace::cost(const Genome& genome) const {
  double sum = 0;
  for (size_t l = 0; l < genome.size(); ++l) sum += costs[l][genome[l]];
  return sum;
}

std::vector<Candidate> search_lists(const SearchSpace& space, const SearchSettings& settings,
                                    const std::function<double(const Genome&)>& evaluate) {
  return Search(space, settings, evaluate).run();
}

int64_t most_evaluations(const SearchSpace& space, const SearchSettings& settings) {
  return space.choices + space.layers() * (space.choices - 1) + kPrefixes + 1 +
         static_cast<int64_t>(settings.population) * settings.generations;
}

Candidate best_within(const std::vector<Candidate>& all, double limit) {
  const Candidate* best = nullptr;
  for (const Candidate& c : all) {
    if (c.cost <= limit && (!best || c.loss < best->loss)) best = &c;
  }
  if (!best)
    throw Error(ErrorCode::kInternal, "no candidate within the limit", "search", "the cheapest list was measured",
                "please report this as a bug");
  return *best;
}

std::vector<Candidate> pareto_front(std::vector<Candidate> all) {
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.cost != b.cost ? a.cost < b.cost : a.loss < b.loss; });
  std::vector<Candidate> out;
  for (Candidate& c : all) {
    if (out.empty() || c.loss < out.back().loss) out.push_back(std::move(c));
  }
  return out;
}

}  // namespace quamba2
