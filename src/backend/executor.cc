// SPDX-License-Identifier: Apache-2.0
#include "backend/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

void set_segments(OpArgs* args, const Segment* segments, int32_t count) {
  std::visit(
      [&](auto& a) {
        if constexpr (requires { a.segments; }) {
          a.segments = segments;
          a.segment_count = count;
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
    const bool same_tokens = tokens_set_ == count, same_segments = segments_set_ == segment_count;
    tokens_ = tokens_set_ = count;
    segments_set_ = segment_count;
    if (same_tokens && same_segments) return;
    for (Step& step : plan_->steps) {
      if (!same_tokens && step.rows == RowKind::kTokens) set_step_rows(&step, tokens_, selected_);
      if (!same_segments) set_segments(&step.args, data, segment_count);
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

void Executor::run_timed(const Step& step, const Stream& stream) const {
  // A device is given the step some times over, so that what is measured is not how long it takes to begin; what the step
  // computes is then of no use (states move on).
  const int times = plan_->device ? 20 : 1;
  if (plan_->device) step.run(step, stream), plan_->device->synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) step.run(step, stream);
  if (plan_->device) plan_->device->synchronize();
  watch_(step, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / times);
}

Executor::Parts Executor::part_of(const Step& step) const {
  if (step.node == kNone) return kChoice;
  if (step.rows == RowKind::kTokens) return kBody;
  return plan_->graph.nodes[static_cast<size_t>(step.node)].output == plan_->graph.logits ? kHead : kNorm;
}

template <class F>
void Executor::for_each_step(Parts parts, F f) const {
  for (const Step& step : plan_->steps) {
    if (parts & part_of(step)) f(step);
  }
  if (parts & kChoice) f(plan_->choose);
}

void Executor::run_step(const Step& step, const Stream& stream) {
  if (watch_) {
    run_timed(step, stream);
  } else {
    step.run(step, stream);
  }
  if (plan_->device) plan_->device->check_launch(step.kernel);
  if (tap_ && step.node != kNone) tap_outputs(step);
}

void Executor::walk_steps(Parts parts) {
  Stream stream = backend_->stream();
  stream.scratch = static_cast<char*>(plan_->scratch.data());
  for_each_step(parts, [&](const Step& step) { run_step(step, stream); });
}

// Null where the back end has no form for these steps.
std::unique_ptr<Program> Executor::compile_steps(Parts parts) const {
  const Graph& graph = plan_->graph;
  std::vector<bool> outside(graph.edges.size(), false);  // edges that are read elsewhere
  std::vector<ProgramStep> steps;
  outside[static_cast<size_t>(graph.logits)] = !(parts & kChoice);
  // Logits of more rows may be asked for afterwards: what the body hands to the head is not only this list's.
  for_each_step(kBody | kNorm | kHead, [&](const Step& step) {
    for (EdgeId input : graph.nodes[static_cast<size_t>(step.node)].inputs) {
      const bool crosses = part_of(step) != kBody && graph.edges[static_cast<size_t>(input)].rows == RowKind::kTokens;
      if (crosses || !(parts & part_of(step))) outside[static_cast<size_t>(input)] = true;
    }
  });
  const auto survives = [&](EdgeId edge) {
    if (edge == kNone) return false;
    bool any = outside[static_cast<size_t>(edge)];
    for (Slice slice : {Slice::kPart, Slice::kPiece}) {
      for (EdgeId child : graph.children(edge, slice)) any = any || outside[static_cast<size_t>(child)];
    }
    return any;
  };
  for_each_step(parts, [&](const Step& step) {
    if (step.node == kNone) return steps.push_back({&step.args, true});
    const Node& node = graph.nodes[static_cast<size_t>(step.node)];
    steps.push_back({&step.args, survives(node.output) || survives(node.sum)});
  });
  return backend_->compile(steps);
}

// What is known of a call like this one: nothing yet at its first time.
Executor::Recording* Executor::find_recording(Parts parts) {
  constexpr size_t kMost = 64;
  const bool selects = parts != kBody;
  const bool draws = (parts & kChoice) && std::get<ChooseTokenArgs>(plan_->choose.args).draws;
  Recording wanted = {parts, tokens_, selects ? selected_ : 0, segments_set_, draws};
  for (Recording& r : recordings_) {
    if (r.parts == wanted.parts && r.tokens == wanted.tokens && r.selected == wanted.selected &&
        r.segments == wanted.segments && r.draws == wanted.draws)
      return &r;
  }
  if (recordings_.size() == kMost) {
    if (recordings_.front().work) plan_->device->release_recording(recordings_.front().work);
    recordings_.erase(recordings_.begin());
  }
  recordings_.push_back(std::move(wanted));
  return nullptr;
}

// A program of all parts; else one of the first, which leaves the rest; else a recording of all.
void Executor::make_work(Recording* recording) {
  const Parts parts = recording->parts;
  recording->program = compile_steps(parts);
  for (const Parts first : {kBody, kNorm | kHead}) {
    if (recording->program || (parts & first) == 0 || parts == first) continue;
    if ((recording->program = compile_steps(first))) recording->rest = parts & ~first;
    break;
  }
  if (recording->program) return;
  plan_->device->begin_recording();
  walk_steps(parts);
  recording->work = plan_->device->end_recording();
}

void Executor::walk(Parts parts) {
  Device* const device = plan_->device;
  // One kernel is launched as it is.
  Recording* recording = device && !tap_ && !watch_ && parts != kChoice ? find_recording(parts) : nullptr;
  if (!recording) {
    walk_steps(parts);
    return;
  }
  if (!recording->work && !recording->program) make_work(recording);
  if (recording->work) return device->replay(recording->work);
  const Parts rest = recording->rest;
  recording->program->run();
  device->check_launch("the program of a call");
  if (rest != 0) walk(rest);
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

void Executor::run_and_choose(std::span<const int32_t> ids, std::span<const Segment> segments,
                              std::span<const int32_t> rows, std::span<const TokenRule> rules) {
  QUAMBA2_CHECK(can_choose() && rows.size() == rules.size(), "tokens cannot be chosen here");
  QUAMBA2_CHECK(untaken() < kMostAhead, "too many calls ahead");
  check_segments(static_cast<int64_t>(ids.size()), segments);
  check_ids(ids, chosen_rows_);
  put_ids(ids);
  set_rows(RowKind::kTokens, static_cast<int32_t>(ids.size()), segments);
  select(rows);
  put_rules(rules);
  walk(kBody | kNorm | kHead | kChoice);
  ids_are_the_chosen_ = true;
  tell_choice(static_cast<int32_t>(rows.size()));
}

// What the last choice left as ids stays, where it is what is asked for.
void Executor::put_ids(std::span<const int32_t> ids) {
  bool follows = false, in_order = ids_are_the_chosen_ && static_cast<int32_t>(ids.size()) == chosen_rows_;
  for (size_t t = 0; t < ids.size(); ++t) {
    follows = follows || ids[t] < 0;
    in_order = in_order && ids[t] == -1 - static_cast<int32_t>(t);
  }
  if (in_order) return;
  put(&plan_->ids, ids.data(), ids.size_bytes(), nullptr);
  if (!follows) return;
  auto& args = std::get<FollowTokensArgs>(plan_->follow.args);
  args.ids.dim[0] = static_cast<int32_t>(ids.size());
  args.chosen.dim[0] = chosen_rows_;
  plan_->follow.run(plan_->follow, backend_->stream());
  plan_->device->check_launch(plan_->follow.kernel);
}

// The device counts draws itself: rules that go on need not be sent again.
void Executor::put_rules(std::span<const TokenRule> rules) {
  put(&plan_->rules, rules.data(), rules.size_bytes(), &held_rules_);
  bool draws = false;
  for (size_t r = 0; r < rules.size(); ++r) {
    if (rules[r].temperature == 0) continue;
    draws = true;
    TokenRule next = rules[r];
    ++next.draws;
    std::memcpy(held_rules_.data() + r * sizeof next, &next, sizeof next);
  }
  std::get<ChooseTokenArgs>(plan_->choose.args).draws = draws;
}

void Executor::tell_choice(int32_t count) {
  Told& told = told_[asked_++ % (kMostAhead + 1)];
  if (!told.mark) {
    told.tokens = HostMemory(*plan_->device, plan_->chosen.size());
    told.mark = plan_->device->make_mark();
  }
  told.count = chosen_rows_ = count;
  plan_->device->download_later(told.tokens.data(), plan_->chosen.data(), static_cast<size_t>(count) * sizeof(int32_t));
  plan_->device->set_mark(told.mark);
}

std::span<const int32_t> Executor::take_chosen() {
  QUAMBA2_CHECK(untaken() > 0, "no call has chosen tokens");
  const Told& told = told_[taken_++ % (kMostAhead + 1)];
  plan_->device->wait_for_mark(told.mark);
  return {reinterpret_cast<const int32_t*>(told.tokens.data()), static_cast<size_t>(told.count)};
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

size_t Executor::state_bytes() const {
  size_t total = 0;
  for (size_t bytes : plan_->state_bytes) total += bytes;
  return total;
}

namespace {

char* slot_address(const Plan& plan, size_t state, int32_t slot) {
  return static_cast<char*>(plan.states[state].values.data) + plan.state_bytes[state] * static_cast<size_t>(slot);
}

}  // namespace

void Executor::reset_state(int32_t slot) {
  QUAMBA2_CHECK(slot >= 0 && slot < plan_->limits.max_sequences, "slot out of range");
  for (size_t s = 0; s < plan_->states.size(); ++s)
    zero_memory(plan_->device, slot_address(*plan_, s, slot), plan_->state_bytes[s]);
}

std::vector<std::byte> Executor::save_state(int32_t slot) const {
  QUAMBA2_CHECK(slot >= 0 && slot < plan_->limits.max_sequences, "slot out of range");
  std::vector<std::byte> out(state_bytes());
  std::byte* to = out.data();
  for (size_t s = 0; s < plan_->states.size(); ++s) {
    read_memory(plan_->device, to, slot_address(*plan_, s, slot), plan_->state_bytes[s]);
    to += plan_->state_bytes[s];
  }
  return out;
}

void Executor::load_state(int32_t slot, std::span<const std::byte> bytes) {
  QUAMBA2_CHECK(slot >= 0 && slot < plan_->limits.max_sequences, "slot out of range");
  if (bytes.size() != state_bytes()) {
    throw Error(ErrorCode::kUsage, "state does not fit", "",
                "it has " + std::to_string(bytes.size()) + " bytes, this model's has " + std::to_string(state_bytes()),
                "load a state that was saved by the same model in the same recipe");
  }
  const std::byte* from = bytes.data();
  for (size_t s = 0; s < plan_->states.size(); ++s) {
    write_memory(plan_->device, slot_address(*plan_, s, slot), from, plan_->state_bytes[s]);
    from += plan_->state_bytes[s];
  }
}

}  // namespace quamba2
