// SPDX-License-Identifier: Apache-2.0
// Continuous batching: requests join and leave at every call of the model. Each gets a state slot; prompts are read in
// pieces between the tokens of texts that already grow.
#pragma once

#include <memory>
#include <vector>

#include "quamba2/request.h"
#include "runtime/fair_queue.h"
#include "runtime/growing_text.h"
#include "runtime/prefix_cache.h"

namespace quamba2 {

struct SchedulerOptions {
  // Prompts are cut at multiples of this, whatever the load: what a request gets does not depend on its neighbours.
  int32_t chunk = 512;
  bool separate = false;     // a step reads prompts or decodes, not both, so that their times can be told apart
  uint64_t cache_bytes = 0;  // for states of prefixes that were read
  StepSink on_step = {};
};

// Throws Error{kUsage} for a prompt that is empty or has ids that the model does not know, and for options out of range.
void check_request(const GeneratorModel& model, const GenerationRequest& request);

// Used by one thread. `chunk` and the state slots must fit into the executor's max_tokens together, unless `separate`.
class Scheduler {
 public:
  Scheduler(const GeneratorModel& model, SchedulerOptions options);
  ~Scheduler();

  // Queues a request, which must have passed check_request. Sinks are called by `step`, and must not throw.
  void add(uint64_t id, GenerationRequest request, GenerationSink sink);
  // Keeps the state that follows these tokens, as if they had been read here.
  void keep(std::span<const int32_t> ids, std::vector<std::byte> state, bool exact) {
    cache_.insert(ids, std::move(state), exact);
  }
  // Ends a request at the next step, which tells its sink. Unknown ids count as nothing: the request may have ended.
  void cancel(uint64_t id);
  // One call of the model, with all that fits: a token of every growing text, and pieces of prompts in turn. A device that
  // chooses tokens is given the next call before those of the last one are known: sinks hear of them a step later. Returns whether
  // there is more to do.
  bool step();
  // Ends every request with this error.
  void fail_all(const Error& error);

  size_t running() const { return active_.size(); }
  size_t waiting() const { return queue_.size(); }
  const PrefixCache& cache() const { return cache_; }

 private:
  struct Sequence;
  struct Row;
  struct Share;
  struct Call;
  using Clock = std::chrono::steady_clock;

  void admit();
  void begin_reading(Sequence* s);
  void keep_state(const Sequence& s, std::span<const int32_t> ids, bool exact);
  void keep_end(const Sequence& s);
  std::shared_ptr<const PausedText> paused_text(const Sequence& s) const;
  void drop_ended();
  void compose();
  void join(Sequence* s, int32_t piece);
  void read_pieces(int32_t room);
  void collect_rows();
  void collect_row(Sequence* s, int32_t row, int32_t target);
  void collect_prompt_rows(const Share& share);
  void make_call();
  void note_read(const Share& share);
  bool may_go_ahead() const;
  void answer_rows();
  static void answer_share(void* context, int thread);
  void answer(Row* row, const float* logits) const;
  void take_chosen(Call* call);
  void finish_call(Call* call);
  void forget_ahead();
  void take_in(Row* row);
  void advance(const Share& share, Clock::time_point now);
  void tell(Sequence* s);
  void report_step(Call* call, Clock::time_point now);

  GeneratorModel model_;
  SchedulerOptions options_;
  PrefixCache cache_;
  const bool
      keeps_all_;  // states of all cuts; else only of a prompt's last two: where the cache holds few, others would go at once
  FairQueue<std::unique_ptr<Sequence>> queue_;
  std::vector<std::unique_ptr<Sequence>> active_;
  std::vector<int32_t> free_slots_;
  uint64_t step_ = 0;
  // Of the call that is being made; rows_ are those whose logits are looked at here.
  std::vector<int32_t> ids_, selected_;
  std::vector<Segment> segments_;
  std::vector<TokenRule> rules_;
  std::vector<Sequence*> readers_;
  std::vector<Row> rows_;
  size_t block_ = 0;
  const float* logits_ = nullptr;
  std::unique_ptr<Call> call_;
  // The call before, where it went ahead: the device has chosen its tokens, or will, and they are not known here. The call that
  // follows is made first, and reads them on the device.
  std::unique_ptr<Call> ahead_;
  Clock::time_point reported_;  // when the last call was done
};

}  // namespace quamba2
