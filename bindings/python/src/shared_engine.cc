// SPDX-License-Identifier: Apache-2.0
#include "shared_engine.h"

namespace quamba2::python {

std::shared_ptr<SharedEngine> SharedEngine::load(const std::string& path, const EngineOptions& options) {
  return without_lock([&] {
    const Model model = Model::from_pretrained(path);
    ModelFacts facts;
    facts.name = model.name();
    facts.family = model.family();
    facts.recipe = model.recipe();
    facts.config = model.config();
    facts.layers = model.layers();
    facts.d_model = model.d_model();
    facts.vocab_size = model.vocab_size();
    facts.parameters = model.parameters();
    facts.weight_bytes = model.weight_bytes();
    return std::make_shared<SharedEngine>(std::move(facts), Engine(model, options));
  });
}

void SharedEngine::retire(std::shared_ptr<void> session) {
  const std::lock_guard lock(retiring_);
  retired_.push_back(std::move(session));
}

void SharedEngine::drop_retired() {
  std::vector<std::shared_ptr<void>> ended;
  {
    const std::lock_guard lock(retiring_);
    ended.swap(retired_);
  }
}

}  // namespace quamba2::python
