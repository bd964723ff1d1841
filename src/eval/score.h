// SPDX-License-Identifier: Apache-2.0
// Log-likelihoods of continuations, from an executor.
#pragma once

#include <string>
#include <vector>

#include "backend/executor.h"
#include "eval/reading_tree.h"

namespace quamba2 {

struct Score {
  double log_likelihood = 0;  // sum over the continuation's tokens, natural logarithm
  bool greedy = false;        // every token is the likeliest one
};

// One score a request of the tree. Stretches are read depth first, several in one call, each in a slot of its own; a
// state that several stretches follow is saved and loaded again. What a request gets depends neither on its neighbours
// nor on the number of slots. `stage` names the progress. Padding rows of the vocabulary take part in the distribution, as in lm-evaluation-harness.
// Throws Error{kRuntime} where logits are not finite.
std::vector<Score> score_requests(Executor& executor, const ReadingTree& tree, const std::string& stage);

}  // namespace quamba2
