// SPDX-License-Identifier: Apache-2.0
#include "runtime/generator.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "quamba2/error.h"
#include "runtime/sampler.h"
#include "runtime/stop_strings.h"
#include "text/stream_decoder.h"

namespace quamba2 {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One prompt at work in a slot.
struct Sequence {
  Sequence(size_t prompt_index, int32_t state_slot, const GeneratorModel& model, const SamplingOptions& options)
      : prompt(prompt_index),
        slot(state_slot),
        sampler(options, model.vocab_size),
        stops(options.stop),
        decoder(model.tokenizer, true) {}

  size_t prompt;
  int32_t slot;
  Sampler sampler;
  StopStrings stops;
  StreamDecoder decoder;
  int32_t next = 0;  // sampled, not yet read
  bool done = false;
};

class Generation {
 public:
  Generation(const GeneratorModel& model, const std::vector<std::vector<int32_t>>& prompts,
             const SamplingOptions& options, const TextSink& sink, GenerationTimes* times)
      : model_(model), prompts_(prompts), options_(options), sink_(sink), times_(times), results_(prompts.size()) {
    for (int32_t s = model.executor->limits().max_sequences; s-- > 0;) free_slots_.push_back(s);
  }

  std::vector<Completion> run() {
    size_t waiting = 0;
    while (waiting < prompts_.size() || !active_.empty()) {
      while (waiting < prompts_.size() && !free_slots_.empty()) start(waiting++);
      drop_finished();
      if (!active_.empty()) decode_step();
      drop_finished();
    }
    return std::move(results_);
  }

 private:
  void start(size_t prompt) {
    const std::vector<int32_t>& ids = prompts_[prompt];
    if (ids.empty())
      throw Error(ErrorCode::kUsage, "empty prompt", "", "there is no token to continue from", "give some text");
    const auto begin = std::chrono::steady_clock::now();
    const int32_t slot = free_slots_.back();
    free_slots_.pop_back();
    results_[prompt].prompt_ids = ids;
    active_.push_back(std::make_unique<Sequence>(prompt, slot, model_, options_));
    Sequence* sequence = active_.back().get();
    sequence->sampler.observe_prompt(ids);
    model_.executor->reset_state(slot);
    const int32_t row = read_tokens(model_.executor, slot, ids);
    if (options_.max_tokens > 0) {
      take(sequence, model_.executor->logits({&row, 1}));
    } else {
      finish(sequence, FinishReason::kLength);
    }
    if (times_)
      times_->prompt_tokens += static_cast<int64_t>(ids.size()), times_->prompt_seconds += seconds_since(begin);
  }

  // One token of every active sequence, in one call.
  void decode_step() {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<int32_t> ids;
    std::vector<Segment> segments;
    for (const auto& s : active_) {
      segments.push_back({static_cast<int32_t>(ids.size()), 1, s->slot});
      ids.push_back(s->next);
    }
    model_.executor->run(ids, segments);
    const int32_t most = model_.executor->limits().max_selected;
    for (size_t first = 0; first < ids.size(); first += static_cast<size_t>(most)) {
      std::vector<int32_t> rows;
      for (size_t i = first; i < std::min(ids.size(), first + static_cast<size_t>(most)); ++i)
        rows.push_back(static_cast<int32_t>(i));
      const float* logits = model_.executor->logits(rows);
      for (size_t i = 0; i < rows.size(); ++i) {
        take(active_[first + i].get(), logits + static_cast<int64_t>(i) * model_.executor->table_rows());
      }
    }
    if (times_)
      times_->generated_tokens += static_cast<int64_t>(ids.size()), times_->generation_seconds += seconds_since(begin);
  }

  // Samples the next token of a sequence and says what it adds to the text.
  void take(Sequence* s, const float* logits) {
    row_.assign(logits, logits + model_.executor->table_rows());
    const int32_t id = s->sampler.sample(row_);
    Completion& out = results_[s->prompt];
    if (!options_.ignore_eos && std::find(model_.eos.begin(), model_.eos.end(), id) != model_.eos.end()) {
      return finish(s, FinishReason::kEndOfText);
    }
    s->sampler.accept(id);
    s->next = id;
    out.ids.push_back(id);
    say(s, s->stops.push(s->decoder.push(id)));
    if (s->done) return;
    if (s->stops.stopped()) return finish(s, FinishReason::kStop);
    if (static_cast<int64_t>(out.ids.size()) >= options_.max_tokens) finish(s, FinishReason::kLength);
  }

  void say(Sequence* s, const std::string& piece) {
    if (piece.empty()) return;
    results_[s->prompt].text += piece;
    if (sink_ && !sink_(s->prompt, piece)) {
      s->done = true;
      results_[s->prompt].finish = FinishReason::kCancelled;
    }
  }

  void finish(Sequence* s, FinishReason reason) {
    results_[s->prompt].finish = reason;
    s->done = true;
    if (reason == FinishReason::kStop) return;
    std::string rest = s->stops.push(s->decoder.flush());
    if (s->stops.stopped()) {
      results_[s->prompt].finish = FinishReason::kStop;
    } else {
      rest += s->stops.flush();
    }
    say(s, rest);
  }

  void drop_finished() {
    for (const auto& s : active_) {
      if (s->done) free_slots_.push_back(s->slot);
    }
    std::erase_if(active_, [](const auto& s) { return s->done; });
  }

  const GeneratorModel& model_;
  const std::vector<std::vector<int32_t>>& prompts_;
  const SamplingOptions& options_;
  const TextSink& sink_;
  GenerationTimes* times_;
  std::vector<Completion> results_;
  std::vector<std::unique_ptr<Sequence>> active_;
  std::vector<int32_t> free_slots_;
  std::vector<float> row_;
};

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
  return Generation(model, prompts, options, sink, times).run();
}

}  // namespace quamba2
