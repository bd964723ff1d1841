// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "runtime/scheduler_parts.h"

namespace quamba2 {
namespace {

constexpr uint64_t kManyStates = 64, kReservedBytes = uint64_t{4} << 30;

}  // namespace

Scheduler::Scheduler(const GeneratorModel& model, SchedulerOptions options)
    : model_(model),
      options_(std::move(options)),
      cache_(options_.cache_bytes),
      keeps_all_(options_.cache_bytes / std::max<size_t>(model.executor->state_bytes(), 1) >= kManyStates),
      call_(std::make_unique<Call>()),
      ahead_(std::make_unique<Call>()) {
  const PlanLimits& limits = model.executor->limits();
  const int32_t beside = options_.separate ? 0 : limits.max_sequences;
  QUAMBA2_CHECK(options_.chunk >= 1 && options_.chunk + beside <= limits.max_tokens, "a piece and a step do not fit");
  QUAMBA2_CHECK(limits.max_sequences <= limits.max_tokens, "more slots than tokens of a call");
  for (int32_t s = limits.max_sequences; s-- > 0;) free_slots_.push_back(s);
  // Up to the budget of most users; a larger one fills while requests are served.
  const size_t state = std::max<size_t>(model.executor->state_bytes(), 1);
  const uint64_t reserved = std::min<uint64_t>(options_.cache_bytes, kReservedBytes) / state;
  if (reserved > 0) model.executor->reserve_kept(reserved + 2);  // some are on their way while others still lie here
}

Scheduler::~Scheduler() { forget_ahead(); }

void Scheduler::add(uint64_t id, GenerationRequest request, GenerationSink sink) {
  const uint64_t group = request.group;
  queue_.push(group, std::make_unique<Sequence>(id, std::move(request), std::move(sink)));
}

void Scheduler::cancel(uint64_t id) {
  for (auto& s : active_) s->cancelled = s->cancelled || s->id == id;
  for (auto& s : queue_.remove_if([id](const auto& waiting) { return waiting->id == id; })) {
    s->update.finished = true;
    s->update.finish = FinishReason::kCancelled;
    tell(s.get());
  }
}

// Gives free slots to those that wait, and ends those that waited too long.
void Scheduler::admit() {
  const Clock::time_point now = Clock::now();
  for (auto& s : queue_.remove_if([now](const auto& w) { return w->request.deadline && *w->request.deadline < now; })) {
    s->update.finished = true;
    s->update.finish = FinishReason::kDeadline;
    tell(s.get());
  }
  while (!queue_.empty() && !free_slots_.empty()) {
    active_.push_back(queue_.pop());
    Sequence& s = *active_.back();
    s.slot = free_slots_.back();
    free_slots_.pop_back();
    s.admitted = now;
    s.served = step_;  // behind those that wait for their next piece
    s.update.usage.queue_seconds = seconds_between(s.queued, now);
    s.text.emplace(model_, s.request.sampling, s.text_start());
    begin_reading(&s);
  }
}

// From the paused text that the request brings, else from the longest prefix whose state is kept; the prompt's last token is
// read in any case, and all where all are scored.
void Scheduler::begin_reading(Sequence* s) {
  if (s->request.from) {
    s->read = static_cast<size_t>(s->request.from->read);
    s->exact = s->read == 0;
    s->update.usage.cached_tokens = s->request.from->read;
    return s->read == 0 ? model_.executor->reset_state(s->slot)
                        : model_.executor->load_state(s->slot, *s->request.from->state);
  }
  if (s->request.prompt_logprobs >= 0) {
    s->update.prompt_tokens.push_back({s->request.prompt[0]});
    return model_.executor->reset_state(s->slot);
  }
  const PrefixCache::Hit hit = cache_.find(s->request.prompt, s->length() - 1, !s->request.cache_end);
  if (hit.tokens == 0) return model_.executor->reset_state(s->slot);
  model_.executor->load_state(s->slot, *hit.state);
  s->read = hit.tokens;
  s->exact = hit.exact;
  s->update.usage.cached_tokens = static_cast<int64_t>(hit.tokens);
}

void Scheduler::keep_state(const Sequence& s, std::span<const int32_t> ids, bool exact) {
  if (options_.cache_bytes < model_.executor->state_bytes() || cache_.holds(ids, exact)) return;
  cache_.insert(ids, model_.executor->keep_state(s.slot), exact);
}

// The state behind prompt and text, for requests whose conversation is likely to go on.
void Scheduler::keep_end(const Sequence& s) {
  if (!s.request.cache_end || s.reading() || s.update.error) return;
  std::vector<int32_t> ids = s.request.prompt;
  ids.insert(ids.end(), s.followed.begin(), s.followed.end());
  keep_state(s, ids, false);
}

std::shared_ptr<const PausedText> Scheduler::paused_text(const Sequence& s) const {
  const auto out = std::make_shared<PausedText>();
  if (s.request.from) *out = *s.request.from;  // its names and notes
  out->ids = s.request.prompt;
  out->ids.insert(out->ids.end(), s.followed.begin(), s.followed.end());
  if (s.unread >= 0) out->ids.push_back(s.unread);
  out->read = static_cast<int64_t>(s.read + s.followed.size());
  out->prompt_tokens = static_cast<int64_t>(s.text_begin);
  out->seed = s.request.sampling.seed;
  out->draws = s.text->draws();
  out->state = nullptr;
  if (out->read > 0) out->state = std::make_shared<const std::vector<std::byte>>(model_.executor->save_state(s.slot));
  return out;
}

// Tells the sinks of texts that ended, and frees their slots.
void Scheduler::drop_ended() {
  const Clock::time_point now = Clock::now();
  for (auto& s : active_) {
    if (s->cancelled) s->text->finish(FinishReason::kCancelled);
    if (s->request.deadline && *s->request.deadline < now) s->text->finish(FinishReason::kDeadline);
    const bool ended =
        s->update.error || (s->text->done() && (!s->reading() || s->text->reason() != FinishReason::kLength));
    if (!ended) continue;
    s->update.text += s->text->take_piece();
    s->update.finished = true;
    s->update.finish = s->text->reason();
    s->update.end_token = s->text->end_token();
    keep_end(*s);
    if (s->request.return_paused && !s->update.error) s->update.paused = paused_text(*s);
    tell(s.get());
    free_slots_.push_back(s->slot);
    if (ahead_->is_ahead) ahead_->forget(s.get());
    s.reset();
  }
  std::erase(active_, nullptr);
}

void Scheduler::tell(Sequence* s) {
  GenerationUpdate next;
  next.usage = s->update.usage;
  if (!s->sink(std::exchange(s->update, std::move(next)))) s->cancelled = true;
}

bool Scheduler::step() {
  admit();
  drop_ended();
  admit();
  if (active_.empty()) {
    forget_ahead();
    return !queue_.empty();
  }
  ++step_;
  compose();
  const bool makes = !ids_.empty();  // else all wait for their last tokens
  if (makes) make_call();
  if (ahead_->is_ahead) finish_call(ahead_.get());
  if (makes && may_go_ahead()) {
    call_->is_ahead = true;
    for (size_t i = 0; i < call_->chosen.size(); ++i) call_->chosen[i].sequence->chosen_row = static_cast<int32_t>(i);
    std::swap(call_, ahead_);
  } else if (makes) {
    finish_call(call_.get());
  }
  drop_ended();
  if (active_.empty()) forget_ahead();
  return !active_.empty() || !queue_.empty();
}

void Scheduler::fail_all(const Error& error) {
  forget_ahead();
  for (auto& s : queue_.remove_if([](const auto&) { return true; })) active_.push_back(std::move(s));
  for (auto& s : active_) {
    s->update.finished = true;
    s->update.error = error;
    tell(s.get());
    if (s->slot >= 0) free_slots_.push_back(s->slot);
  }
  active_.clear();
}

}  // namespace quamba2
