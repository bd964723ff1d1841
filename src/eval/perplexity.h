// SPDX-License-Identifier: Apache-2.0
// Perplexity and KL divergence over executors (the protocol is stated in include/quamba2/evaluate.h).
#pragma once

#include <span>

#include "backend/executor.h"
#include "quamba2/evaluate.h"

namespace quamba2 {

// Padding rows of the vocabulary take part in the distribution, as in the reference figures. bits_per_byte is left 0: the
// caller knows the text. Throws Error{kRuntime} where logits are not finite.
Perplexity measure_perplexity(Executor& executor, std::span<const int32_t> ids, const PerplexityOptions& options);
Comparisons measure_differences(Executor& reference, std::span<Executor* const> others, std::span<const int32_t> ids,
                                const PerplexityOptions& options);

}  // namespace quamba2
