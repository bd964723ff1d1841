// SPDX-License-Identifier: Apache-2.0
#include "api/tenant.h"

#include <utility>

namespace quamba2 {

Executor& Engine::Impl::take_over() {
  if (tenant) tenant->leave();
  return *executor;
}

Tenant::~Tenant() {
  if (engine_->tenant == this) engine_->tenant = nullptr;
}

Executor& Tenant::enter() {
  if (engine_->tenant == this) return *engine_->executor;
  Executor& executor = engine_->take_over();
  engine_->last_logits.erase(0);
  if (saved_)
    executor.load_state(0, *saved_);
  else
    executor.reset_state(0);
  saved_.reset();
  engine_->tenant = this;
  return executor;
}

void Tenant::leave() {
  if (engine_->tenant != this) return;
  saved_ = engine_->executor->save_state(0);
  engine_->tenant = nullptr;
}

void Tenant::set_state(std::optional<std::vector<std::byte>> state) {
  if (engine_->tenant == this) engine_->tenant = nullptr;
  saved_ = std::move(state);
}

}  // namespace quamba2
