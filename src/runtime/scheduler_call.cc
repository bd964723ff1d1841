// SPDX-License-Identifier: Apache-2.0
// One call of the model: what it reads, and what comes of it.
#include <algorithm>

#include "runtime/scheduler_parts.h"
#include "runtime/token_scores.h"

namespace quamba2 {
namespace {

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
  if (target < 0 && s->request.logprobs < 0 && has_room && executor.can_choose())
    rule = s->text->rule(s->chosen_row >= 0 ? 1 : 0);
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
  const auto chunk = static_cast<size_t>(options_.chunk);
  const bool cut = s.read % chunk == 0 && (keeps_all_ || s.read + 2 * chunk > s.length());
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

}  // namespace quamba2
