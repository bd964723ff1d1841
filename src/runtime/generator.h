// SPDX-License-Identifier: Apache-2.0
// Continues prompts: reads them in pieces, decodes them together, gives slots to waiting prompts as they come free.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/executor.h"
#include "quamba2/generate.h"
#include "quamba2/tokenizer.h"

namespace quamba2 {

struct GeneratorModel {
  Executor* executor = nullptr;
  std::shared_ptr<const Tokenizer> tokenizer;
  int64_t vocab_size = 0;    // ids that may be sampled
  std::vector<int32_t> eos;  // ids that end a text
};

// Prompts are cut at fixed positions, so that what a prompt gives depends neither on its neighbours nor on the load.
// Throws Error{kUsage} for an empty prompt or options out of range.
std::vector<Completion> generate(const GeneratorModel& model, const std::vector<std::vector<int32_t>>& prompts,
                                 const SamplingOptions& options, const TextSink& sink, GenerationTimes* times);

// Reads a long run of tokens into one slot, cut as `generate` cuts prompts. The logits of the last token are left in the
// executor: row index of it in the last call.
int32_t read_tokens(Executor* executor, int32_t slot, std::span<const int32_t> ids);

}  // namespace quamba2
