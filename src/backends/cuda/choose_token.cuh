// SPDX-License-Identifier: Apache-2.0
// What the kernels that choose tokens are given.
#pragma once

#include "backend/kernel.h"
#include "backends/cuda/choose_token_math.h"
#include "ops/choose_token.h"

namespace quamba2::cuda {

struct ChoiceRows {
  const float* logits;
  int64_t stride;
  TokenRule* rules;
  int32_t *chosen, *next;
};

inline ChoiceRows choice_rows(const ChooseTokenArgs& args) {
  return {static_cast<const float*>(args.logits.values.data), args.logits.values.stride[0],
          static_cast<TokenRule*>(args.rules.data), static_cast<int32_t*>(args.chosen.data),
          static_cast<int32_t*>(args.next.data)};
}

// Rows whose rules have a temperature; the others are left alone.
void launch_choose_token_draw(const ChoiceRows& rows, int32_t count, const Stream& stream);

// `best` is `ranked` of the token, or of the row's largest logit where that is none.
__device__ __forceinline__ void tell_choice(const ChoiceRows& rows, int32_t row, uint64_t best) {
  const uint32_t key = key_of_ranked(best);
  const int32_t id = id_of_ranked(best);
  rows.chosen[row] = key == kNanKey ? not_a_number(id) : key == kMinusInfinityKey ? kEveryLogitIsMinusInfinity : id;
  rows.next[row] = key == kNanKey || key == kMinusInfinityKey ? 0 : id;
}

}  // namespace quamba2::cuda
