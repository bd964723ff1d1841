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

int32_t read_tokens(Executor* executor, int32_t slot, std::span<const int32_t> ids,
                    const std::function<void(size_t, size_t)>& on_call) {
  const auto step = static_cast<size_t>(executor->limits().max_tokens);
  size_t length = 0;
  ProgressScope progress("reading the prompt", static_cast<int64_t>(ids.size()));
  for (size_t at = 0; at < ids.size(); at += length) {
    length = std::min(step, ids.size() - at);
    const Segment segment{0, static_cast<int32_t>(length), slot};
    executor->run(ids.subspan(at, length), {&segment, 1});
    if (on_call) on_call(at, length);
    progress.advance(static_cast<int64_t>(length));
  }
  return static_cast<int32_t>(length) - 1;
}

namespace {

using Paused = std::shared_ptr<const PausedText>;

// Runs all requests to their ends. `paused` takes the text that a request brings back.
std::vector<Completion> run(const GeneratorModel& model, std::vector<GenerationRequest> requests, const TextSink& sink,
                            GenerationTimes* times, Paused* paused) {
  std::vector<Completion> results(requests.size());
  std::optional<Error> failure;
  int64_t prompt_tokens = 0;
  for (const GenerationRequest& r : requests) {
    check_request(model, r);
    prompt_tokens += static_cast<int64_t>(r.prompt.size());
    if (r.from) prompt_tokens += static_cast<int64_t>(r.from->ids.size()) - r.from->read;
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
  for (size_t i = 0; i < requests.size(); ++i) {
    results[i].prompt_ids = requests[i].prompt;
    scheduler.add(i, std::move(requests[i]), [&, i](GenerationUpdate&& update) {
      if (update.error) failure = update.error;
      if (update.paused) *paused = update.paused;
      return take_update(&results[i], i, sink, std::move(update));
    });
  }
  while (scheduler.step() && !failure) {}
  if (failure) throw *failure;
  return results;
}

GenerationRequest following(const PausedText& paused, std::span<const int32_t> prompt, const SamplingOptions& options) {
  GenerationRequest out{{prompt.begin(), prompt.end()}, options};
  out.from = std::make_shared<const PausedText>(paused);
  out.return_paused = true;
  return out;
}

// The prompt joins the paused text, which is read up to the last cut before its last token.
Completion take_prompt_in(const GeneratorModel& model, PausedText* paused, std::span<const int32_t> prompt,
                          const SamplingOptions& options, GenerationTimes* times) {
  check_request(model, following(*paused, prompt, options));
  PausedText whole = *paused;
  whole.ids.insert(whole.ids.end(), prompt.begin(), prompt.end());
  if (!prompt.empty()) whole.prompt_tokens = static_cast<int64_t>(whole.ids.size());
  const auto chunk = static_cast<size_t>(model.executor->limits().max_tokens);
  const size_t cut = (whole.ids.size() - 1) / chunk * chunk;
  if (cut > static_cast<size_t>(whole.read)) {
    PausedText head = *paused;
    head.ids.assign(whole.ids.begin(), whole.ids.begin() + static_cast<std::ptrdiff_t>(cut));
    head.prompt_tokens = static_cast<int64_t>(cut);
    Paused read;
    run(model, {following(head, {}, options)}, {}, times, &read);
    whole.read = read->read;
    whole.state = read->state;
  }
  *paused = std::move(whole);
  Completion out;
  out.prompt_ids.assign(prompt.begin(), prompt.end());
  return out;
}

}  // namespace

std::vector<Completion> generate(const GeneratorModel& model, const std::vector<std::vector<int32_t>>& prompts,
                                 const SamplingOptions& options, const TextSink& sink, GenerationTimes* times) {
  std::vector<GenerationRequest> requests;
  for (const auto& ids : prompts) requests.push_back({ids, options});
  return run(model, std::move(requests), sink, times, nullptr);
}

Completion resume(const GeneratorModel& model, PausedText* paused, std::span<const int32_t> prompt,
                  const SamplingOptions& options, const TextSink& sink, GenerationTimes* times) {
  if (options.max_tokens == 0) return take_prompt_in(model, paused, prompt, options, times);
  Paused after;
  Completion out = run(model, {following(*paused, prompt, options)}, sink, times, &after).front();
  if (after) *paused = *after;
  return out;
}

}  // namespace quamba2
