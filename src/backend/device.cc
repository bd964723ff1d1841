// SPDX-License-Identifier: Apache-2.0
#include "backend/device.h"

#include <cstring>
#include <utility>

namespace quamba2 {

void write_memory(Device* device, void* to, const void* from, size_t bytes) {
  if (device) return device->upload(to, from, bytes);
  std::memcpy(to, from, bytes);
}

void read_memory(Device* device, void* to, const void* from, size_t bytes) {
  if (device) return device->download(to, from, bytes);
  std::memcpy(to, from, bytes);
}

void zero_memory(Device* device, void* memory, size_t bytes) {
  if (device) return device->zero(memory, bytes);
  std::memset(memory, 0, bytes);
}

HostMemory::HostMemory(Device& device, size_t bytes)
    : device_(&device), data_(static_cast<std::byte*>(device.allocate_host(bytes))), size_(bytes) {}

HostMemory::~HostMemory() {
  if (data_) device_->release_host(data_);
}

void HostMemory::swap(HostMemory& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
}

Storage::Storage(Device* device, size_t bytes) : device_(device), size_(bytes) {
  if (device) {
    on_device_ = device->allocate(bytes);
  } else {
    host_ = AlignedBuffer(bytes);
  }
}

Storage::~Storage() {
  if (on_device_) device_->release(on_device_);
}

bool Storage::contains(const void* address) const {
  const auto *p = static_cast<const char*>(address), *begin = static_cast<const char*>(data());
  return begin && p >= begin && p < begin + size_;
}

void Storage::swap(Storage& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(on_device_, other.on_device_);
  std::swap(host_, other.host_);
  std::swap(size_, other.size_);
}

}  // namespace quamba2
