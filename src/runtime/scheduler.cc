// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "runtime/token_scores.h"

namespace quamba2 {
namespace {

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

struct Scheduler::Sequence {
  Sequence(uint64_t request_id, GenerationRequest&& asked, GenerationSink&& to)
      : id(request_id), request(std::move(asked)), sink(std::move(to)) {
    begin_text();
    update.usage.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  }

  // With a paused text to go on from, its text is part of the prompt.
  void begin_text() {
    const bool anew = !request.prompt.empty();
    if (request.from) request.prompt.insert(request.prompt.begin(), request.from->ids.begin(), request.from->ids.end());
    text_begin = anew ? request.prompt.size() : static_cast<size_t>(request.from->prompt_tokens);
  }
  TextStart text_start() const {
    const std::span<const int32_t> all(request.prompt);
    TextStart out{all.first(text_begin), all.subspan(text_begin)};
    if (request.from && request.from->seed == request.sampling.seed) out.draws = request.from->draws;
    out.goes_on = request.return_paused;
    return out;
  }
  bool reading() const { return read < request.prompt.size(); }
  size_t length() const { return request.prompt.size(); }

  uint64_t id;
  GenerationRequest request;
  GenerationSink sink;
  std::optional<GrowingText> text;  // from its admission on
  int32_t slot = -1;
  size_t text_begin = 0;          // where in `prompt` the generated text begins: its end, unless a paused text goes on
  size_t read = 0;                // tokens of the prompt
  int32_t piece = 0, begin = 0;   // tokens in this call, and the first one's place there
  uint64_t served = 0;            // the step that last read a piece of it, or admitted it
  bool exact = true;              // its state is what reading the prompt alone gives, bit for bit
  std::vector<int32_t> followed;  // generated tokens that were read, for cache_end and return_paused
  int32_t unread = -1;            // the generated token that is to be read next
  bool cancelled = false;
  Clock::time_point queued = Clock::now(), admitted, grown;  // grown: when the prompt had been read
  GenerationUpdate update;                                   // what its sink is to hear next
};

// A row of the call's logits, what is asked of it, and the answer.
struct Scheduler::Row {
  int32_t row = 0;
  Sequence* sequence = nullptr;
  int32_t target = -1;  // the prompt's next token, which is to be scored; -1: a token is to be sampled
  TokenReport report = {};
  std::optional<Error> error = {};
};

Scheduler::Scheduler(const GeneratorModel& model, SchedulerOptions options)
    : model_(model), options_(std::move(options)), cache_(options_.cache_bytes) {
  const PlanLimits& limits = model.executor->limits();
  const int32_t beside = options_.separate ? 0 : limits.max_sequences;
  QUAMBA2_CHECK(options_.chunk >= 1 && options_.chunk + beside <= limits.max_tokens, "a piece and a step do not fit");
  QUAMBA2_CHECK(limits.max_sequences <= limits.max_tokens, "more slots than tokens of a call");
  for (int32_t s = limits.max_sequences; s-- > 0;) free_slots_.push_back(s);
}

Scheduler::~Scheduler() = default;

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
  cache_.insert(ids, model_.executor->save_state(s.slot), exact);
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
  if (active_.empty()) return !queue_.empty();
  const Clock::time_point begin = Clock::now();
  ++step_;
  compose();
  model_.executor->run(ids_, segments_);
  collect_rows();
  answer_rows();
  for (Row& row : rows_) take_in(&row);
  const Clock::time_point now = Clock::now();
  for (auto& s : active_) advance(s.get(), now);
  report_step(begin);
  drop_ended();
  return !active_.empty() || !queue_.empty();
}

void Scheduler::compose() {
  ids_.clear();
  segments_.clear();
  readers_.clear();
  report_ = {};
  for (auto& s : active_) {
    s->piece = 0;
    if (s->reading()) readers_.push_back(s.get());
  }
  if (!options_.separate || readers_.empty()) {
    for (auto& s : active_) {
      if (s->reading()) continue;
      s->begin = static_cast<int32_t>(ids_.size());
      s->piece = 1;
      segments_.push_back({s->begin, 1, s->slot});
      ids_.push_back(s->text->last());
    }
    report_.decoded_tokens = static_cast<int32_t>(ids_.size());
  }
  // Beside growing texts one chunk is read, so that they wait no longer than that; alone, as much as fits.
  const int32_t left = model_.executor->limits().max_tokens - report_.decoded_tokens;
  read_pieces(report_.decoded_tokens == 0 ? left : std::min(left, options_.chunk));
}

// Who was served longest ago is next. The first one always fits, so every prompt is read to its end.
void Scheduler::read_pieces(int32_t room) {
  std::sort(readers_.begin(), readers_.end(), [](const Sequence* a, const Sequence* b) {
    return a->served != b->served ? a->served < b->served : a->id < b->id;
  });
  const auto chunk = static_cast<size_t>(options_.chunk);
  for (Sequence* s : readers_) {
    const size_t piece = std::min(chunk - s->read % chunk, s->length() - s->read);
    if (piece > static_cast<size_t>(room)) continue;
    s->piece = static_cast<int32_t>(piece);
    s->begin = static_cast<int32_t>(ids_.size());
    s->served = step_;
    segments_.push_back({s->begin, s->piece, s->slot});
    const auto from = s->request.prompt.begin() + static_cast<std::ptrdiff_t>(s->read);
    ids_.insert(ids_.end(), from, from + s->piece);
    room -= s->piece;
    report_.prompt_tokens += s->piece;
  }
}

void Scheduler::collect_rows() {
  rows_.clear();
  for (auto& s : active_) {
    if (s->piece == 0) continue;
    if (!s->reading()) {
      rows_.push_back({s->begin, s.get()});
    } else {
      collect_prompt_rows(s.get());
    }
  }
}

void Scheduler::collect_prompt_rows(Sequence* s) {
  if (s->request.prompt_logprobs >= 0) {
    for (int32_t i = 0; i < s->piece && s->read + static_cast<size_t>(i) + 1 < s->length(); ++i) {
      rows_.push_back({s->begin + i, s, s->request.prompt[s->read + static_cast<size_t>(i) + 1]});
    }
  }
  const bool whole = s->read + static_cast<size_t>(s->piece) == s->length();
  if (whole && !s->text->done()) rows_.push_back({s->begin + s->piece - 1, s});
}

// Logits come in blocks; each is shared out among the threads. A text is touched by the one thread that has its row.
void Scheduler::answer_rows() {
  const auto most = static_cast<size_t>(model_.executor->limits().max_selected);
  for (block_ = 0; block_ < rows_.size(); block_ += most) {
    selected_.clear();
    for (size_t i = block_; i < std::min(rows_.size(), block_ + most); ++i) selected_.push_back(rows_[i].row);
    logits_ = model_.executor->logits(selected_);
    const Stream stream = model_.executor->backend().stream();
    if (stream.parallel != nullptr && selected_.size() > 1) {
      stream.parallel(stream.pool, answer_share, this);
    } else {
      for (size_t r = 0; r < selected_.size(); ++r)
        answer(&rows_[block_ + r], logits_ + static_cast<int64_t>(r) * model_.executor->table_rows());
    }
  }
}

void Scheduler::answer_share(void* context, int thread) {
  Scheduler& self = *static_cast<Scheduler*>(context);
  const auto threads = static_cast<size_t>(self.model_.executor->backend().stream().threads);
  const int64_t columns = self.model_.executor->table_rows();
  for (size_t r = static_cast<size_t>(thread); r < self.selected_.size(); r += threads)
    self.answer(&self.rows_[self.block_ + r], self.logits_ + static_cast<int64_t>(r) * columns);
}

void Scheduler::answer(Row* row, const float* logits) const {
  const std::span<const float> all(logits, static_cast<size_t>(model_.executor->table_rows()));
  const GenerationRequest& request = row->sequence->request;
  try {
    if (row->target >= 0) {
      row->report = score_token(all, model_.vocab_size, row->target, request.prompt_logprobs);
    } else {
      const int32_t id = row->sequence->text->take(all);
      row->report = request.logprobs >= 0 ? score_token(all, model_.vocab_size, id, request.logprobs) : TokenReport{id};
    }
  } catch (const Error& e) {
    row->error = e;
  } catch (const std::exception& e) {
    row->error = Error(ErrorCode::kInternal, "cannot sample", "", e.what());
  }
}

void Scheduler::take_in(Row* row) {
  GenerationUpdate& update = row->sequence->update;
  if (row->error) {
    update.error = row->error;
  } else if (row->target >= 0) {
    update.prompt_tokens.push_back(std::move(row->report));
  } else {
    const int32_t id = row->report.id;
    row->sequence->unread = id == row->sequence->text->end_token() ? -1 : id;
    update.tokens.push_back(std::move(row->report));
    ++update.usage.generated_tokens;
  }
}

// What the call meant for a sequence. Those that ended hear of it in drop_ended.
void Scheduler::advance(Sequence* s, Clock::time_point now) {
  if (s->piece == 0) return;
  if (s->reading()) {
    s->read += static_cast<size_t>(s->piece);
    s->update.usage.prompt_seconds = seconds_between(s->admitted, now);
    if (!s->reading()) s->grown = now;
    // Where pieces end in every prompt, a state is exact; the end of one prompt is kept for those who ask for it.
    const bool cut = s->read % static_cast<size_t>(options_.chunk) == 0;
    if (cut || (s->request.cache_end && !s->reading()))
      keep_state(*s, std::span(s->request.prompt).first(s->read), cut && s->exact);
  } else {
    if (s->request.cache_end || s->request.return_paused) s->followed.push_back(ids_[static_cast<size_t>(s->begin)]);
    s->update.usage.generation_seconds = seconds_between(s->grown, now);
  }
  s->update.text += s->text->take_piece();
  const bool news = !s->update.tokens.empty() || !s->update.prompt_tokens.empty() || !s->update.text.empty();
  if (news && !s->text->done() && !s->update.error) tell(s);
}

void Scheduler::report_step(Clock::time_point begin) {
  if (!options_.on_step) return;
  report_.running = static_cast<int32_t>(active_.size());
  report_.waiting = static_cast<int32_t>(queue_.size());
  report_.seconds = seconds_between(begin, Clock::now());
  options_.on_step(report_);
}

void Scheduler::fail_all(const Error& error) {
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
