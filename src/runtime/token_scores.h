// SPDX-License-Identifier: Apache-2.0
// Log-probabilities of tokens, from a row of logits.
#pragma once

#include <span>

#include "quamba2/request.h"

namespace quamba2 {

// The token `id` among all rows of the head, padding included (as `eval` and lm-evaluation-harness have it), and the
// `count` likeliest ids below `vocab_size`, lower ids first among equals. All from one normalizer, so that a token that is
// the likeliest has exactly the same number in both places.
TokenReport score_token(std::span<const float> logits, int64_t vocab_size, int32_t id, int32_t count);

}  // namespace quamba2
