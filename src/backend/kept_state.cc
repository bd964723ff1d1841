// SPDX-License-Identifier: Apache-2.0
#include "backend/kept_state.h"

#include <utility>

#include "quamba2/error.h"

namespace quamba2 {

HostStates::HostStates(std::shared_ptr<const Backend> backend, size_t state_bytes)
    : backend_(std::move(backend)), device_(*backend_->device()), state_bytes_(state_bytes) {
  free_.reserve(64);
}

HostStates::~HostStates() {
  for (const Block& b : free_) device_.release_mark(b.mark);
  for (const Gathered& g : gathered_) {
    if (g.mark) device_.release_mark(g.mark);
  }
}

HostStates::Block HostStates::new_block() {
  Block out = {HostMemory(device_, state_bytes_)};
  out.mark = device_.make_mark();
  return out;
}

void HostStates::make_gathered(Gathered* g) {
  if (g->mark) return;
  g->memory = Storage(&device_, state_bytes_);
  g->mark = device_.make_mark();
}

void HostStates::reserve(size_t states) {
  free_.reserve(states);
  try {
    for (Gathered& g : gathered_) make_gathered(&g);
    while (free_.size() < states) free_.push_back(new_block());
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kResource) throw;
  }
}

HostStates::Block HostStates::copy(const std::function<void(void* to)>& gather) {
  Gathered& g = gathered_[next_];
  if (g.mark) device_.wait_later(g.mark);
  make_gathered(&g);
  Block out;
  if (free_.empty()) {
    out = new_block();
  } else {
    out = std::move(free_.back());
    free_.pop_back();
  }
  next_ = (next_ + 1) % kGathered;
  try {
    gather(g.memory.data());
    device_.download_aside(out.memory.data(), g.memory.data(), state_bytes_);
    device_.set_mark_aside(out.mark);
    device_.set_mark_aside(g.mark);
  } catch (...) {
    take_back(std::move(out));
    throw;
  }
  return out;
}

// What still copies to it, or from it, is done before the next copy to it begins: those are behind all calls so far, and in order.
void HostStates::take_back(Block block) noexcept {
  if (free_.size() < free_.capacity()) return free_.push_back(std::move(block));
  device_.release_mark(block.mark);
}

std::span<const std::byte> KeptState::bytes() const {
  if (!from_) return bytes_;
  from_->device().wait_for_mark(block_.mark);
  return {block_.memory.data(), from_->state_bytes()};
}

}  // namespace quamba2
