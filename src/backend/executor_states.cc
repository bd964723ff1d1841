// SPDX-License-Identifier: Apache-2.0
// States of slots: cleared, brought to this process, and back.
#include "backend/executor.h"
#include "base/check.h"
#include "quamba2/error.h"

namespace quamba2 {

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

// Where a device has no room for a second copy, or this machine none to lock, the calls wait instead.
std::shared_ptr<const KeptState> Executor::keep_state(int32_t slot) {
  QUAMBA2_CHECK(slot >= 0 && slot < plan_->limits.max_sequences, "slot out of range");
  if (!plan_->device) return std::make_shared<const KeptState>(save_state(slot));
  reserve_kept(0);
  try {
    HostStates::Block block = host_states_->copy([&](void* to) {
      char* at = static_cast<char*>(to);
      for (size_t s = 0; s < plan_->states.size(); ++s) {
        plan_->device->copy(at, slot_address(*plan_, s, slot), plan_->state_bytes[s]);
        at += plan_->state_bytes[s];
      }
    });
    return std::make_shared<const KeptState>(host_states_, std::move(block));
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kResource) throw;
    return std::make_shared<const KeptState>(save_state(slot));
  }
}

void Executor::reserve_kept(size_t states) {
  if (!plan_->device) return;
  if (!host_states_) host_states_ = std::make_shared<HostStates>(backend_, state_bytes());
  if (states > 0) host_states_->reserve(states);
}

void Executor::load_state(int32_t slot, const KeptState& kept) {
  const HostStates::Block* block = kept.block();
  if (!block || !plan_->device || kept.size() != state_bytes()) return load_state(slot, kept.bytes());
  QUAMBA2_CHECK(slot >= 0 && slot < plan_->limits.max_sequences, "slot out of range");
  plan_->device->wait_later(block->mark);
  const std::byte* from = block->memory.data();
  for (size_t s = 0; s < plan_->states.size(); ++s) {
    plan_->device->upload_later(slot_address(*plan_, s, slot), from, plan_->state_bytes[s]);
    from += plan_->state_bytes[s];
  }
}

}  // namespace quamba2
