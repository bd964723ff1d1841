// SPDX-License-Identifier: Apache-2.0
#include "backend/executor.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

void set_segments(OpArgs* args, const Segment* segments, int32_t count, int32_t singles) {
  std::visit(
      [&](auto& a) {
        if constexpr (requires { a.segments; }) {
          a.segments = segments;
          a.segment_count = count;
          a.single_segments = singles;
        }
      },
      *args);
}

void set_operand_rows(Operand* operand, int32_t rows) {
  operand->values.dim[0] = rows;
  if (operand->format.dynamic) operand->scales[0].dim[0] = rows;
}

// The token dimension of everything that a step reads and writes.
void set_step_rows(Step* step, int32_t tokens, int32_t selected) {
  std::visit(
      [&](auto& a) {
        using Args = std::decay_t<decltype(a)>;
        const bool selects = std::is_same_v<Args, SelectRowsArgs>;
        const int32_t out_rows = step->rows == RowKind::kTokens ? tokens : selected;
        const int32_t in_rows = selects ? tokens : out_rows;
        visit_inputs(a, [&](Operand& o) { set_operand_rows(&o, in_rows); });
        visit_outputs(a, [&](Operand& o) { set_operand_rows(&o, out_rows); });
        if constexpr (std::is_same_v<Args, EmbedArgs>) a.ids.dim[0] = tokens;
        if constexpr (std::is_same_v<Args, SelectRowsArgs>) a.rows.dim[0] = selected;
        if constexpr (std::is_same_v<Args, ChooseTokenArgs>)
          a.rules.dim[0] = a.chosen.dim[0] = a.next.dim[0] = selected;
      },
      step->args);
}

}  // namespace

Executor::Executor(const Graph& graph, std::shared_ptr<const Backend> backend, const PlanLimits& limits)
    : backend_(std::move(backend)), plan_(make_plan(graph, *backend_, limits)) {
  segments_.reserve(static_cast<size_t>(limits.max_tokens));
}

Executor::~Executor() {
  for (const Told& told : told_) {
    if (told.mark) plan_->device->release_mark(told.mark);
  }
  for (const Recording& r : recordings_) {
    if (r.work) plan_->device->release_recording(r.work);
  }
}

int32_t Executor::table_rows() const { return plan_->graph.edges[static_cast<size_t>(plan_->graph.logits)].columns; }

// To memory of kernels; on a device only what differs from what it holds.
void Executor::put(Storage* to, const void* from, size_t bytes, std::vector<std::byte>* held) {
  if (plan_->device && held) {
    if (held->size() == bytes && std::memcmp(held->data(), from, bytes) == 0) return;
    const auto* begin = static_cast<const std::byte*>(from);
    held->assign(begin, begin + bytes);
  }
  write_memory(plan_->device, to->data(), from, bytes);
}

void Executor::set_rows(RowKind rows, int32_t count, std::span<const Segment> segments) {
  if (rows == RowKind::kTokens) {
    segments_.assign(segments.begin(), segments.end());
    if (plan_->device) put(&plan_->segments, segments.data(), segments.size_bytes(), &held_segments_);
    const auto* data = plan_->device ? static_cast<const Segment*>(plan_->segments.data()) : segments_.data();
    const auto segment_count = static_cast<int32_t>(segments_.size());
    const auto first_longer =
        std::find_if(segments.begin(), segments.end(), [](const Segment& s) { return s.length > 1; });
    const auto singles = static_cast<int32_t>(first_longer - segments.begin());
    const bool same_tokens = tokens_set_ == count;
    const bool same_segments = segments_set_ == segment_count && singles_set_ == singles;
    tokens_ = tokens_set_ = count;
    segments_set_ = segment_count;
    singles_set_ = singles;
    if (same_tokens && same_segments) return;
    for (Step& step : plan_->steps) {
      if (!same_tokens && step.rows == RowKind::kTokens) set_step_rows(&step, tokens_, selected_);
      if (!same_segments) set_segments(&step.args, data, segment_count, singles);
    }
    return;
  }
  selected_ = count;
  if (selected_set_ == count && selected_of_ == tokens_) return;
  selected_set_ = count;
  selected_of_ = tokens_;
  for (Step& step : plan_->steps) {
    if (step.rows == RowKind::kSelected) set_step_rows(&step, tokens_, selected_);
  }
  if (can_choose()) set_step_rows(&plan_->choose, tokens_, selected_);
}

// The numbers of an operand, scales included, in this process's memory.
Operand Executor::downloaded(const Operand& operand, HostMemory* buffer) const {
  if (!plan_->device) return operand;
  Operand out = operand;
  const TensorView& v = operand.values;
  const auto values =
      static_cast<size_t>(v.dim[0]) * static_cast<size_t>(v.stride[0]) * static_cast<size_t>(bits_of(v.dtype)) / 8;
  const size_t scales = operand.format.dynamic ? static_cast<size_t>(v.dim[0]) * sizeof(float) : 0;
  const size_t scales_at = (values + 63) / 64 * 64;
  if (buffer->size() < scales_at + scales) *buffer = HostMemory(*plan_->device, scales_at + scales);
  plan_->device->download_later(buffer->data(), v.data, values);
  out.values.data = buffer->data();
  if (scales > 0) {
    plan_->device->download_later(buffer->data() + scales_at, operand.scales[0].data, scales);
    out.scales[0].data = buffer->data() + scales_at;
  }
  plan_->device->synchronize();
  return out;
}

void Executor::tap_outputs(const Step& step) {
  const Node& node = plan_->graph.nodes[static_cast<size_t>(step.node)];
  std::vector<EdgeId> written = plan_->graph.children(node.output, Slice::kPart);
  if (written.empty()) written.push_back(node.output);
  for (EdgeId edge : written) {
    Operand values = *edge_operand(edge);
    set_operand_rows(&values, step.rows == RowKind::kTokens ? tokens_ : selected_);
    tap_(plan_->graph.edges[static_cast<size_t>(edge)], downloaded(values, &tap_bytes_));
  }
}

namespace {

[[noreturn]] void invalid_batch(const std::string& why) { throw Error(ErrorCode::kUsage, "invalid batch", "", why); }

}  // namespace

void Executor::check_segments(int64_t tokens, std::span<const Segment> segments) {
  const PlanLimits& most = plan_->limits;
  if (tokens < 1 || tokens > most.max_tokens)
    invalid_batch(std::to_string(tokens) + " tokens, 1 to " + std::to_string(most.max_tokens) + " are possible");
  int64_t at = 0;
  seen_.assign(static_cast<size_t>(most.max_sequences), false);
  for (const Segment& s : segments) {
    if (s.begin != at || s.length < 1 || s.slot < 0 || s.slot >= most.max_sequences)
      invalid_batch("a segment is out of range");
    if (seen_[static_cast<size_t>(s.slot)]) invalid_batch("slot " + std::to_string(s.slot) + " appears twice");
    seen_[static_cast<size_t>(s.slot)] = true;
    at += s.length;
  }
  if (at != tokens) invalid_batch("the segments do not cover the tokens");
}

// Ids below zero stand for the tokens of `followed` rows.
void Executor::check_ids(std::span<const int32_t> ids, int32_t followed) const {
  const int32_t rows = table_rows();
  for (int32_t id : ids) {
    if (id >= rows || id < -followed)
      invalid_batch("token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(rows));
  }
}

void Executor::run(std::span<const int32_t> ids, std::span<const Segment> segments) {
  check_segments(static_cast<int64_t>(ids.size()), segments);
  check_ids(ids, 0);
  put(&plan_->ids, ids.data(), ids.size_bytes(), nullptr);
  ids_are_the_chosen_ = false;
  set_rows(RowKind::kTokens, static_cast<int32_t>(ids.size()), segments);
  walk(kBody);
}

void Executor::run_part(std::span<const float> input, std::span<const Segment> segments) {
  QUAMBA2_CHECK(plan_->graph.input != kNone, "the graph is no part of a model");
  const Operand& to = plan_->edges[static_cast<size_t>(plan_->graph.input)];
  const auto columns = static_cast<size_t>(to.values.dim[1]), tokens = input.size() / columns;
  QUAMBA2_CHECK(tokens * columns == input.size(), "the input has another width");
  check_segments(static_cast<int64_t>(tokens), segments);
  if (plan_->device) {
    QUAMBA2_CHECK(to.values.dtype == DType::kF32, "devices compute in f32");
    plan_->device->upload(to.values.data, input.data(), input.size_bytes());
  } else if (to.values.dtype == DType::kF64) {
    std::copy(input.begin(), input.end(), static_cast<double*>(to.values.data));
  } else {
    std::memcpy(to.values.data, input.data(), input.size_bytes());
  }
  set_rows(RowKind::kTokens, static_cast<int32_t>(tokens), segments);
  walk(kBody);
}

void Executor::select(std::span<const int32_t> rows) {
  QUAMBA2_CHECK(!rows.empty() && rows.size() <= static_cast<size_t>(plan_->limits.max_selected),
                "too many rows of logits");
  for (int32_t r : rows) QUAMBA2_CHECK(r >= 0 && r < tokens_, "a row of logits is outside the last run");
  put(&plan_->selected, rows.data(), rows.size_bytes(), &held_selected_);
  set_rows(RowKind::kSelected, static_cast<int32_t>(rows.size()), {});
}

void Executor::run_final_norm(std::span<const int32_t> rows) {
  select(rows);
  walk(kNorm);
}

const Operand& Executor::logits_operand() const {
  const Operand& logits = *edge_operand(plan_->graph.logits);
  if (!plan_->device) return logits;
  Operand computed = logits;
  set_operand_rows(&computed, plan_->graph.edges[static_cast<size_t>(plan_->graph.logits)].rows == RowKind::kTokens
                                  ? tokens_
                                  : selected_);
  logits_ = downloaded(computed, &logits_bytes_);
  return logits_;
}

const float* Executor::logits(std::span<const int32_t> rows) {
  select(rows);
  walk(kNorm | kHead);
  const Operand& out = logits_operand();
  if (out.values.dtype == DType::kF32) return static_cast<const float*>(out.values.data);
  const auto* wide = static_cast<const double*>(out.values.data);
  narrowed_.assign(wide, wide + rows.size() * static_cast<size_t>(table_rows()));
  return narrowed_.data();
}

}  // namespace quamba2
