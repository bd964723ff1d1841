// SPDX-License-Identifier: Apache-2.0
// States of sequences that wait, in memory of this process. From a device they come in two steps, so that calls do not wait
// for the bus: the slot is copied inside the device at once, and from there to locked memory beside the calls that follow.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"

namespace quamba2 {

// Locked memory for states of one size, and the way there. Used by one thread at a time.
class HostStates {
 public:
  struct Block {
    HostMemory memory;
    void* mark = nullptr;  // behind the copy to it
  };

  HostStates(std::shared_ptr<const Backend> backend, size_t state_bytes);
  ~HostStates();
  HostStates(const HostStates&) = delete;
  HostStates& operator=(const HostStates&) = delete;

  // `gather` copies a state inside the device to where it is told, in the order of the calls. Throws Error{kResource} where
  // there is no memory for it, on either side.
  Block copy(const std::function<void(void* to)>& gather);
  // Memory for so many states, or for as many as there is: later it would hold up calls.
  void reserve(size_t states);
  // For states to come: locking memory takes longer than copying to it.
  void take_back(Block block) noexcept;

  Device& device() const { return device_; }
  size_t state_bytes() const { return state_bytes_; }

 private:
  struct Gathered {
    Storage memory;
    void* mark = nullptr;  // behind the copy from it
  };
  Block new_block();
  void make_gathered(Gathered* g);
  static constexpr int kGathered = 2;  // one fills while the other empties

  const std::shared_ptr<const Backend> backend_;
  Device& device_;
  const size_t state_bytes_;
  Gathered gathered_[kGathered];
  int next_ = 0;
  std::vector<Block> free_;
};

class KeptState {
 public:
  explicit KeptState(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  KeptState(std::shared_ptr<HostStates> from, HostStates::Block block)
      : from_(std::move(from)), block_(std::move(block)) {}
  ~KeptState() {
    if (from_) from_->take_back(std::move(block_));
  }
  KeptState(const KeptState&) = delete;
  KeptState& operator=(const KeptState&) = delete;

  size_t size() const { return from_ ? from_->state_bytes() : bytes_.size(); }
  // As Executor::save_state gives it. Waits where it is on its way.
  std::span<const std::byte> bytes() const;
  // Where it is locked memory of a device: that, and the mark behind which it is there; else null.
  const HostStates::Block* block() const { return from_ ? &block_ : nullptr; }

 private:
  std::shared_ptr<HostStates> from_;
  HostStates::Block block_;
  std::vector<std::byte> bytes_;
};

}  // namespace quamba2
