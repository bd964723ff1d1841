// SPDX-License-Identifier: Apache-2.0
#include "runtime/generator.h"

#include <algorithm>
#include <memory>

#include "base/log.h"
#include "quamba2/error.h"
#include "runtime/scheduler.h"

namespace quamba2 {
namespace {

// Adds to a completion. The token that ended the text is not part of it.
bool take_update(Completion* out, size_t prompt, const TextSink& sink, GenerationUpdate&& update) {
  for (const TokenReport& token : update.tokens) out->ids.push_back(token.id);
  if (update.end_token >= 0) out->ids.pop_back();
  out->text += update.text;
  const bool more = update.text.empty() || !sink || sink(prompt, update.text);
  if (!update.finished) return more;
  out->finish = more ? update.finish : FinishReason::kCancelled;
  return true;
}

}  // namespace

int32_t read_tokens(Executor* executor, int32_t slot, std::span<const int32_t> ids) {
  const auto step = static_cast<size_t>(executor->limits().max_tokens);
  size_t length = 0;
  ProgressScope progress("reading the prompt", static_cast<int64_t>(ids.size()));
  for (size_t at = 0; at < ids.size(); at += length) {
    length = std::min(step, ids.size() - at);
    const Segment segment{0, static_cast<int32_t>(length), slot};
    executor->run(ids.subspan(at, length), {&segment, 1});
    progress.advance(static_cast<int64_t>(length));
  }
  return static_cast<int32_t>(length) - 1;
}

std::vector<Completion> generate(const GeneratorModel& model, const std::vector<std::vector<int32_t>>& prompts,
                                 const SamplingOptions& options, const TextSink& sink, GenerationTimes* times) {
  std::vector<Completion> results(prompts.size());
  std::optional<Error> failure;
  int64_t prompt_tokens = 0;
  for (const auto& ids : prompts) {
    check_request(model, {ids, options});
    prompt_tokens += static_cast<int64_t>(ids.size());
  }
  auto progress = std::make_unique<ProgressScope>("reading the prompt", prompt_tokens);
  const StepSink on_step = [&](const StepReport& step) {
    if (step.prompt_tokens > 0) progress->advance(step.prompt_tokens);
    if (!times) return;
    times->prompt_tokens += step.prompt_tokens;
    times->generated_tokens += step.decoded_tokens;
    (step.prompt_tokens > 0 ? times->prompt_seconds : times->generation_seconds) += step.seconds;
  };
  Scheduler scheduler(model, {model.executor->limits().max_tokens, true, 0, on_step});
  for (size_t i = 0; i < prompts.size(); ++i) {
    results[i].prompt_ids = prompts[i];
    scheduler.add(i, {prompts[i], options}, [&, i](GenerationUpdate&& update) {
      if (update.error) failure = update.error;
      return take_update(&results[i], i, sink, std::move(update));
    });
  }
  while (scheduler.step() && !failure) {}
  if (failure) throw *failure;
  return results;
}

}  // namespace quamba2
