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

  const PlanLimits& limits() const { return plan_->limits; }
  const Plan& plan() const { return *plan_; }
  const Backend& backend() const { return *backend_; }
  int32_t table_rows() const;  // V, padding included

  // States of one slot, all layers.
  void reset_state(int32_t slot);
  size_t state_bytes() const;
  std::vector<std::byte> save_state(int32_t slot) const;
  // Throws Error{kUsage} where the size is not this model's.
  void load_state(int32_t slot, std::span<const std::byte> bytes);

  // Calls `tap` for every edge of every run; needs limits.keep_edges no more than the tap's own reads do.
  void set_tap(Tap tap) { tap_ = std::move(tap); }
  // Times every step of every run; an empty watch ends that. On a device the results of these runs are of no use.
  void set_watch(Watch watch) { watch_ = std::move(watch); }

 private:
  // Work of a device for one shape of a call, recorded when that shape comes for the second time.
  struct Recording {
    RowKind rows;
    int32_t tokens, selected, segments;
    bool with_logits;
    void* work = nullptr;                   // of the device, or
    std::unique_ptr<Program> program = {};  // of the back end
  };

  Operand* edge_operand(EdgeId edge) const { return &plan_->edges[static_cast<size_t>(edge)]; }
  void put(Storage* to, const void* from, size_t bytes, std::vector<std::byte>* held);
  void walk_steps(RowKind rows, bool with_logits);
  Recording* find_recording(RowKind rows, bool with_logits);
  bool is_walked(const Step& step, RowKind rows, bool with_logits) const;
  std::unique_ptr<Program> compile_steps(RowKind rows, bool with_logits) const;
  Operand downloaded(const Operand& operand, std::vector<std::byte>* buffer) const;
  void check_segments(int64_t tokens, std::span<const Segment> segments);
  void set_rows(RowKind rows, int32_t count, std::span<const Segment> segments);
  void select(std::span<const int32_t> rows);
  void walk(RowKind rows, bool with_logits = true);
  void tap_outputs(const Step& step);
  void run_timed(const Step& step, const Stream& stream) const;

  std::shared_ptr<const Backend> backend_;
  std::unique_ptr<Plan> plan_;
  std::vector<Segment> segments_;
  std::vector<bool> seen_;       // slots of a call
  std::vector<float> narrowed_;  // logits of an f64 back end
  int32_t tokens_ = 0, selected_ = 0;
  int32_t tokens_set_ = -1, segments_set_ = -1, selected_set_ = -1, selected_of_ = -1;  // that the steps are set to
  // On a device: what it holds of the last call, work that is recorded, and numbers that came back.
  std::vector<std::byte> held_segments_, held_selected_;
  std::vector<Recording> recordings_;
  mutable std::vector<std::byte> logits_bytes_;
  mutable Operand logits_;
  std::vector<std::byte> tap_bytes_;
  Tap tap_;
  Watch watch_;
};

}  // namespace quamba2
