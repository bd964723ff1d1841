// SPDX-License-Identifier: Apache-2.0
#include "support/under_test.h"

#include <cstdint>

#include "base/check.h"

namespace quamba2::testing {
namespace {

constexpr size_t kAlign = 256;

// Grows to the largest problem and stays: allocating is slow. At the end it goes with the process.
char* device_memory(Device& device, size_t bytes) {
  static char* memory = nullptr;
  static size_t size = 0;
  if (bytes > size) {
    if (memory) device.release(memory);
    size = bytes + bytes / 2;
    memory = static_cast<char*>(device.allocate(size));
  }
  return memory;
}

}  // namespace

Mirror::Mirror(Device& device, std::vector<Block> blocks) : device_(device), blocks_(std::move(blocks)) {
  size_t total = 0;
  for (const Block& b : blocks_) {
    offsets_.push_back(total + reinterpret_cast<uintptr_t>(b.data) % kAlign);
    total = (offsets_.back() + b.bytes + kAlign - 1) / kAlign * kAlign;
  }
  memory_ = device_memory(device, total);
  for (size_t i = 0; i < blocks_.size(); ++i) device_.upload(memory_ + offsets_[i], blocks_[i].data, blocks_[i].bytes);
}

void* Mirror::address(const void* host) const {
  if (!host) return nullptr;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto offset = reinterpret_cast<uintptr_t>(host) - reinterpret_cast<uintptr_t>(blocks_[i].data);
    if (offset < blocks_[i].bytes) return memory_ + offsets_[i] + offset;
  }
  QUAMBA2_CHECK(false, "a kernel is given memory that is in no block of its problem");
}

void Mirror::download() const {
  for (size_t i = 0; i < blocks_.size(); ++i)
    device_.download(blocks_[i].data, memory_ + offsets_[i], blocks_[i].bytes);
}

}  // namespace quamba2::testing
