// SPDX-License-Identifier: Apache-2.0
// How the steps of a call come to run: one by one, recorded, or as a program of the back end.
#include <algorithm>
#include <chrono>

#include "backend/executor.h"

namespace quamba2 {

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

// What is known of a call like this one: nothing yet at its first time, nor where another has come since and it was not
// recorded. What was used last is at the end.
Executor::Recording* Executor::find_recording(Parts parts) {
  constexpr size_t kMost = 32;
  const bool selects = parts != kBody;
  const bool draws = (parts & kChoice) && std::get<ChooseTokenArgs>(plan_->choose.args).draws;
  Recording wanted = {parts, tokens_, selects ? selected_ : 0, segments_set_, singles_set_, draws};
  const auto known = std::find_if(recordings_.begin(), recordings_.end(), [&](const Recording& r) {
    return r.parts == wanted.parts && r.tokens == wanted.tokens && r.selected == wanted.selected &&
           r.segments == wanted.segments && r.singles == wanted.singles && r.draws == wanted.draws;
  });
  if (known != recordings_.end()) {
    std::rotate(known, known + 1, recordings_.end());
    return &recordings_.back();
  }
  std::erase_if(recordings_, [&](const Recording& r) { return r.parts == parts && !r.work && !r.program; });
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
  const bool is_new = !recording->work && !recording->program;
  if (is_new) make_work(recording);
  if (recording->work) return device->replay(recording->work);
  const Parts rest = recording->rest;
  recording->program->run();
  device->check_launch("the program of a call");
  if (rest == 0) return;
  if (is_new && rest != kChoice) find_recording(rest);  // not its first time either
  walk(rest);
}

}  // namespace quamba2
