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

template <class Work>
std::optional<Error> error_of(Work work) {
  try {
    work();
  } catch (const Error& e) {
    return e;
  } catch (const std::exception& e) {
    return Error(ErrorCode::kInternal, "cannot sample", "", e.what());
  }
  return {};
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
  int32_t chosen_row = -1;        // of the call that went ahead: where its token is; -1: it has none there
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

// A sequence's part of a call.
struct Scheduler::Share {
  Sequence* sequence;
  int32_t begin, piece;  // tokens
  bool reads;            // its prompt
};

struct Scheduler::Call {
  std::vector<Share> shares;
  std::vector<Row> chosen;  // rows whose tokens the device chooses
  bool is_ahead = false;
  StepReport report;
  Clock::time_point begin;

  void forget(const Sequence* ended) {
    std::erase_if(shares, [&](const Share& s) { return s.sequence == ended; });
    for (Row& r : chosen) r.sequence = r.sequence == ended ? nullptr : r.sequence;
  }
};

Scheduler::Scheduler(const GeneratorModel& model, SchedulerOptions options)
    : model_(model),
      options_(std::move(options)),
      cache_(options_.cache_bytes),
      call_(std::make_unique<Call>()),
      ahead_(std::make_unique<Call>()) {
  const PlanLimits& limits = model.executor->limits();
  const int32_t beside = options_.separate ? 0 : limits.max_sequences;
  QUAMBA2_CHECK(options_.chunk >= 1 && options_.chunk + beside <= limits.max_tokens, "a piece and a step do not fit");
  QUAMBA2_CHECK(limits.max_sequences <= limits.max_tokens, "more slots than tokens of a call");
  for (int32_t s = limits.max_sequences; s-- > 0;) free_slots_.push_back(s);
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
  return !active_.empty() || !queue_.empty();
}

void Scheduler::compose() {
  ids_.clear();
  segments_.clear();
  readers_.clear();
  call_->shares.clear();
  call_->report = {};
  call_->begin = Clock::now();
  for (auto& s : active_) {
    if (s->reading()) readers_.push_back(s.get());
  }
  if (!options_.separate || readers_.empty()) {
    for (auto& s : active_) {
      if (s->reading()) continue;
      if (s->chosen_row >= 0 && s->text->tokens_left() <= 1) continue;  // the last one is on its way
      join(s.get(), 1);
      ids_.push_back(s->chosen_row >= 0 ? -1 - s->chosen_row : s->text->last());
    }
    call_->report.decoded_tokens = static_cast<int32_t>(ids_.size());
  }
  // Beside growing texts one chunk is read, so that they wait no longer than that; alone, as much as fits.
  const int32_t left = model_.executor->limits().max_tokens - call_->report.decoded_tokens;
  read_pieces(call_->report.decoded_tokens == 0 ? left : std::min(left, options_.chunk));
}

void Scheduler::join(Sequence* s, int32_t piece) {
  const auto begin = static_cast<int32_t>(ids_.size());
  segments_.push_back({begin, piece, s->slot});
  call_->shares.push_back({s, begin, piece, s->reading()});
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
    s->served = step_;
    join(s, static_cast<int32_t>(piece));
    const auto from = s->request.prompt.begin() + static_cast<std::ptrdiff_t>(s->read);
    ids_.insert(ids_.end(), from, from + static_cast<std::ptrdiff_t>(piece));
    room -= static_cast<int32_t>(piece);
    call_->report.prompt_tokens += static_cast<int32_t>(piece);
  }
}

void Scheduler::collect_rows() {
  rows_.clear();
  rules_.clear();
  selected_.clear();
  call_->chosen.clear();
  for (const Share& share : call_->shares) {
    if (share.reads) {
      collect_prompt_rows(share);
    } else {
      collect_row(share.sequence, share.begin, -1);
    }
  }
}

void Scheduler::collect_prompt_rows(const Share& share) {
  Sequence& s = *share.sequence;
  if (s.request.prompt_logprobs >= 0) {
    for (int32_t i = 0; i < share.piece && s.read + static_cast<size_t>(i) + 1 < s.length(); ++i)
      collect_row(&s, share.begin + i, s.request.prompt[s.read + static_cast<size_t>(i) + 1]);
  }
  const bool whole = s.read + static_cast<size_t>(share.piece) == s.length();
  if (whole && !s.text->done()) collect_row(&s, share.begin + share.piece - 1, -1);
}

// Where its token can be chosen by the device, it is.
void Scheduler::collect_row(Sequence* s, int32_t row, int32_t target) {
  const Executor& executor = *model_.executor;
  std::optional<TokenRule> rule;
  const bool has_room = call_->chosen.size() < static_cast<size_t>(executor.limits().max_selected);
  if (target < 0 && s->request.logprobs < 0 && has_room && executor.can_choose()) rule = s->text->rule();
  if (!rule) return rows_.push_back({row, s, target});
  call_->chosen.push_back({row, s});
  selected_.push_back(row);
  rules_.push_back(*rule);
}

// Has all but the tokens that the device chooses.
void Scheduler::make_call() {
  collect_rows();
  if (call_->chosen.empty()) {
    model_.executor->run(ids_, segments_);
  } else {
    model_.executor->run_and_choose(ids_, segments_, selected_, rules_);
  }
  answer_rows();
  for (const Share& share : call_->shares) note_read(share);
}

// A token that is known late is read in vain where it has ended the text: states that are kept are not to have read it.
bool Scheduler::may_go_ahead() const {
  return rows_.empty() && !call_->chosen.empty() && std::none_of(active_.begin(), active_.end(), [](const auto& s) {
           return s->request.cache_end || s->request.return_paused;
         });
}

void Scheduler::forget_ahead() {
  ahead_->is_ahead = false;
  model_.executor->forget_chosen();
}

void Scheduler::take_chosen(Call* call) {
  if (call->chosen.empty()) return;
  const std::span<const int32_t> tokens = model_.executor->take_chosen();
  const int32_t decoded = call->report.decoded_tokens;
  for (size_t i = 0; i < tokens.size(); ++i) {
    Row& row = call->chosen[i];
    if (row.sequence && (row.sequence->text->done() || row.sequence->update.error)) row.sequence = nullptr;
    if (row.sequence) {
      row.sequence->chosen_row = -1;
      row.error = error_of([&] { row.report = TokenReport{row.sequence->text->take_chosen(tokens[i])}; });
    } else if (row.row < decoded) {
      --call->report.decoded_tokens;  // read in vain: the token before has ended the text
    }
  }
}

void Scheduler::finish_call(Call* call) {
  call->is_ahead = false;
  take_chosen(call);
  if (call == call_.get()) {
    for (Row& row : rows_) take_in(&row);
  }
  for (Row& row : call->chosen) {
    if (row.sequence) take_in(&row);
  }
  const Clock::time_point now = Clock::now();
  for (const Share& share : call->shares) advance(share, now);
  report_step(call, now);
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
  row->error = error_of([&] {
    if (row->target >= 0) {
      row->report = score_token(all, model_.vocab_size, row->target, request.prompt_logprobs);
    } else {
      const int32_t id = row->sequence->text->take(all);
      row->report = request.logprobs >= 0 ? score_token(all, model_.vocab_size, id, request.logprobs) : TokenReport{id};
    }
  });
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

// What a call reads is read in the order of calls from now on.
void Scheduler::note_read(const Share& share) {
  Sequence& s = *share.sequence;
  if (!share.reads) {
    if (s.request.cache_end || s.request.return_paused) s.followed.push_back(ids_[static_cast<size_t>(share.begin)]);
    return;
  }
  s.read += static_cast<size_t>(share.piece);
  // Where pieces end in every prompt, a state is exact; the end of one prompt is kept for those who ask for it.
  const bool cut = s.read % static_cast<size_t>(options_.chunk) == 0;
  if (cut || (s.request.cache_end && !s.reading()))
    keep_state(s, std::span(s.request.prompt).first(s.read), cut && s.exact);
}

// What a call meant for a sequence. Those that ended hear of it in drop_ended.
void Scheduler::advance(const Share& share, Clock::time_point now) {
  Sequence* const s = share.sequence;
  if (share.reads) {
    s->update.usage.prompt_seconds = seconds_between(s->admitted, now);
    if (!s->reading()) s->grown = now;
  } else {
    s->update.usage.generation_seconds = seconds_between(s->grown, now);
  }
  s->update.text += s->text->take_piece();
  const bool news = !s->update.tokens.empty() || !s->update.prompt_tokens.empty() || !s->update.text.empty();
  if (news && !s->text->done() && !s->update.error) tell(s);
}

// A call that went ahead was at work while the one before it was.
void Scheduler::report_step(Call* call, Clock::time_point now) {
  StepReport& report = call->report;
  report.running = static_cast<int32_t>(active_.size());
  report.waiting = static_cast<int32_t>(queue_.size());
  report.seconds = seconds_between(std::max(call->begin, reported_), now);
  reported_ = now;
  if (options_.on_step) options_.on_step(report);
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
