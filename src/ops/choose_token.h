// SPDX-License-Identifier: Apache-2.0
// choose_token: the next token of each row of logits, as the runtime's sampler chooses it.
//   logits [R, V] float; V holds padding behind each rule's `vocabulary`
//   rules  [R] TokenRule, in words of four bytes; `draws` of rules with a temperature grows by one
//   chosen [R] i32: an id, kEveryLogitIsMinusInfinity, or not_a_number(id) of the first NaN
//   next   [R] i32: the id again, 0 where there is none: what the next call of the model may read
// At temperature 0 the lowest id among the largest logits. Else, of the tokens in order of their logits, largest first, lower ids
// first among equals: the first top_k; of these the fewest that hold at least top_p of their weight exp((l - largest) /
// temperature); of these the ones that weigh at least min_p of the likeliest; of these the first one with which the sum of weights is
// more than u times that of all, u in [0, 1) being number `draws` of the seed. Where neither top_k nor top_p is on, that sum is taken
// in order of ids.
#pragma once

#include "tensor/view.h"

namespace quamba2 {

struct TokenRule {
  double temperature = 0, top_p = 1, min_p = 0;  // 0: greedy; 1: off; 0: off
  uint64_t seed = 0, draws = 0;
  int32_t top_k = 0;  // 0: off
  int32_t vocabulary = 0;
};
static_assert(sizeof(TokenRule) == 48);

constexpr int32_t kEveryLogitIsMinusInfinity = -1;
constexpr int32_t not_a_number(int32_t id) { return -2 - id; }  // its own inverse

struct ChooseTokenArgs {
  Operand logits;
  TensorView rules, chosen, next;
  bool draws = false;  // false: every rule is greedy
};

void reference_choose_token(const ChooseTokenArgs& args);

// follow_tokens: ids[t], where it is below zero, becomes the token that the last choice put into row -1 - ids[t]; 0 where that
// row has none.
//   ids [T] i32, chosen [R] i32
struct FollowTokensArgs {
  TensorView ids, chosen;
};

void reference_follow_tokens(const FollowTokensArgs& args);

}  // namespace quamba2
