// SPDX-License-Identifier: Apache-2.0
// Continues prompts: reads them in pieces, decodes them together, gives slots to waiting prompts as they come free.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "backend/executor.h"
#include "quamba2/generate.h"
#include "quamba2/paused_text.h"
#include "runtime/growing_text.h"

namespace quamba2 {

// Prompts are cut at fixed positions, so that what a prompt gives depends neither on its neighbours nor on the load.
// Throws Error{kUsage} for an empty prompt or options out of range, Error{kRuntime} where a text cannot be sampled.
std::vector<Completion> generate(const GeneratorModel& model, const std::vector<std::vector<int32_t>>& prompts,
                                 const SamplingOptions& options, const TextSink& sink, GenerationTimes* times);

// Goes on with a paused text, which is then the one behind the text; an empty paused text begins. Without a prompt its own text
// goes on. With no tokens asked for, the prompt joins it and is read up to the last place where prompts are cut, so that
// nothing depends on where a prompt was taken apart. Names and fingerprint are the caller's. Throws as `generate`; the
// paused text is then what it was.
Completion resume(const GeneratorModel& model, PausedText* paused, std::span<const int32_t> prompt,
                  const SamplingOptions& options, const TextSink& sink, GenerationTimes* times);

// Reads a long run of tokens into one slot, cut as `generate` cuts prompts. The logits of the last token are left in the
// executor: row index of it in the last call. `on_call` hears of each call of the model behind it: which ids it read, as
// (first, count).
int32_t read_tokens(Executor* executor, int32_t slot, std::span<const int32_t> ids,
                    const std::function<void(size_t, size_t)>& on_call = {});

}  // namespace quamba2
