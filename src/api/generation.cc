// SPDX-License-Identifier: Apache-2.0
// Generation: a scheduler with one request, stepped as its text is asked for.
#include <deque>

#include "api/tenant.h"
#include "base/log.h"
#include "quamba2/error.h"
#include "quamba2/session.h"
#include "runtime/scheduler.h"

namespace quamba2 {

struct Generation::Impl {
  Impl(Engine::Impl* engine, const GeneratorModel& model, GenerationRequest&& request)
      : tenant(engine),
        progress("reading the prompt", static_cast<int64_t>(request.prompt.size())),
        scheduler(model, {model.executor->limits().max_tokens, true, 0, [this](const StepReport& step) {
                            if (step.prompt_tokens > 0) progress.advance(step.prompt_tokens);
                          }}) {
    scheduler.add(0, std::move(request), [this](GenerationUpdate&& update) {
      updates.push_back(std::move(update));
      return true;
    });
  }

  Tenant tenant;
  ProgressScope progress;
  std::deque<GenerationUpdate> updates;  // that were not asked for yet
  Scheduler scheduler;
  bool ended = false;
};

Generation::Generation(Engine& engine, GenerationRequest request) {
  const GeneratorModel model = engine.impl().generator_model();
  check_request(model, request);
  impl_ = std::make_unique<Impl>(&engine.impl(), model, std::move(request));
}

Generation::~Generation() = default;

std::optional<GenerationUpdate> Generation::next() {
  Impl& self = *impl_;
  if (self.ended) return std::nullopt;
  self.ended = true;  // unless all goes well
  if (self.updates.empty()) {
    self.tenant.enter();
    while (self.scheduler.step() && self.updates.empty()) {}
  }
  if (self.updates.empty()) return std::nullopt;
  GenerationUpdate update = std::move(self.updates.front());
  self.updates.pop_front();
  if (update.error) throw *update.error;
  self.ended = update.finished;
  return update;
}

}  // namespace quamba2
