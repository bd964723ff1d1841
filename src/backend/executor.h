// SPDX-License-Identifier: Apache-2.0
// Walks a plan. One executor is one set of states and buffers; it is used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/kept_state.h"
#include "backend/plan.h"

namespace quamba2 {

// Called with the numbers on an edge after the step that wrote it; the view holds the rows of this call.
using Tap = std::function<void(const Edge& edge, const Operand& values)>;

// Called after each step with what it took, in seconds.
using Watch = std::function<void(const Step& step, double seconds)>;

class Executor {
 public:
  Executor(const Graph& graph, std::shared_ptr<const Backend> backend, const PlanLimits& limits);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Reads tokens into the states: segment i holds tokens [begin, begin + length) of `ids` and continues slot `slot`.
  // Segments are in ascending order and cover `ids`; slots differ. Throws Error{kUsage} for ids outside the vocabulary
  // or calls beyond the limits.
  void run(std::span<const int32_t> ids, std::span<const Segment> segments);
  // The same for a graph that is a part of a model: rows of its input, as many as the segments cover.
  void run_part(std::span<const float> input, std::span<const Segment> segments);
  // Logits of rows of the last run, at most limits().max_selected at once: [rows, V], valid until the next call.
  const float* logits(std::span<const int32_t> rows);
  // Runs what lies between the body and the head for these rows (the final norm), without the head: for taps.
  void run_final_norm(std::span<const int32_t> rows);
  // The logits of the last run in the back end's own float type (f64 for the reference), in this process's memory.
  const Operand& logits_operand() const;

  // Calls whose tokens the device chooses itself, so that one can be asked for before it is known what the last one chose.
  // Whether this back end has such.
  bool can_choose() const { return plan_->choose.run != nullptr; }
  static constexpr int32_t kMostAhead = 2;  // calls whose tokens are not taken yet
  // Reads tokens as `run` does and chooses one behind each of `rows`, at most limits().max_selected, by its rule. Returns at once.
  // An id below zero stands for the token that the last such call chose: -1 - i for that of its row i.
  void run_and_choose(std::span<const int32_t> ids, std::span<const Segment> segments, std::span<const int32_t> rows,
                      std::span<const TokenRule> rules);
  // Waits for the first of these calls that was not taken: what it chose, in the order of its rows (ops/choose_token.h), valid
  // until the next such call.
  std::span<const int32_t> take_chosen();
  int64_t untaken() const { return asked_ - taken_; }
  void forget_chosen() { taken_ = asked_; }

  const PlanLimits& limits() const { return plan_->limits; }
  const Plan& plan() const { return *plan_; }
  const Backend& backend() const { return *backend_; }
  int32_t table_rows() const;  // V, padding included

  // States of one slot, all layers.
  void reset_state(int32_t slot);
  size_t state_bytes() const;
  std::vector<std::byte> save_state(int32_t slot) const;
  // The same for a sequence that waits or may come again: where the states are a device's, they come without a stop of its work.
  std::shared_ptr<const KeptState> keep_state(int32_t slot);
  void load_state(int32_t slot, const KeptState& kept);
  // Has memory ready for that many of them, where it is of a kind that takes long to get.
  void reserve_kept(size_t states);
  // Throws Error{kUsage} where the size is not this model's.
  void load_state(int32_t slot, std::span<const std::byte> bytes);

  // Calls `tap` for every edge of every run; needs limits.keep_edges no more than the tap's own reads do.
  void set_tap(Tap tap) { tap_ = std::move(tap); }
  // Times every step of every run; an empty watch ends that. On a device the results of these runs are of no use.
  void set_watch(Watch watch) { watch_ = std::move(watch); }

 private:
  // Parts of a call, in their order.
  using Parts = uint32_t;
  static constexpr Parts kBody = 1, kNorm = 2, kHead = 4, kChoice = 8;

  // Work of a device for some parts of one shape of a call, made when that shape comes twice in succession: pieces of prompts
  // beside growing texts have many shapes, and recording one costs as much as several calls.
  struct Recording {
    Parts parts;
    int32_t tokens, selected, segments, singles;
    bool draws;
    void* work = nullptr;                   // of the device, or
    std::unique_ptr<Program> program = {};  // of the back end,
    Parts rest = 0;                         // which leaves these
  };

  // Where the tokens of a call come to.
  struct Told {
    HostMemory tokens;
    void* mark = nullptr;
    int32_t count = 0;
  };

  Operand* edge_operand(EdgeId edge) const { return &plan_->edges[static_cast<size_t>(edge)]; }
  void put(Storage* to, const void* from, size_t bytes, std::vector<std::byte>* held);
  template <class F>
  void for_each_step(Parts parts, F f) const;
  void walk_steps(Parts parts);
  void run_step(const Step& step, const Stream& stream);
  Recording* find_recording(Parts parts);
  Parts part_of(const Step& step) const;
  std::unique_ptr<Program> compile_steps(Parts parts) const;
  void make_work(Recording* recording);
  Operand downloaded(const Operand& operand, HostMemory* buffer) const;
  void check_ids(std::span<const int32_t> ids, int32_t followed) const;
  void put_ids(std::span<const int32_t> ids);
  void put_rules(std::span<const TokenRule> rules);
  void tell_choice(int32_t count);
  void check_segments(int64_t tokens, std::span<const Segment> segments);
  void set_rows(RowKind rows, int32_t count, std::span<const Segment> segments);
  void select(std::span<const int32_t> rows);
  void walk(Parts parts);
  void tap_outputs(const Step& step);
  void run_timed(const Step& step, const Stream& stream) const;

  std::shared_ptr<const Backend> backend_;
  std::unique_ptr<Plan> plan_;
  std::vector<Segment> segments_;
  std::vector<bool> seen_;       // slots of a call
  std::vector<float> narrowed_;  // logits of an f64 back end
  int32_t tokens_ = 0, selected_ = 0;
  // What the steps are set to; singles: segments of one token in front of the first longer one.
  int32_t tokens_set_ = -1, segments_set_ = -1, singles_set_ = -1, selected_set_ = -1, selected_of_ = -1;
  // On a device: what it holds of the last call, work that is recorded, and numbers that came back.
  std::vector<std::byte> held_segments_, held_selected_, held_rules_;
  std::vector<Recording> recordings_;
  mutable HostMemory logits_bytes_;
  mutable Operand logits_;
  HostMemory tap_bytes_;
  // Of calls that choose: two of which are on their way, and one that is looked at.
  Told told_[kMostAhead + 1];
  int64_t asked_ = 0, taken_ = 0;
  int32_t chosen_rows_ = 0;                  // of the last choice
  bool ids_are_the_chosen_ = false;          // what the device has as ids is what it chose last
  std::shared_ptr<HostStates> host_states_;  // of a device, from the first kept state on
  Tap tap_;
  Watch watch_;
};

}  // namespace quamba2
