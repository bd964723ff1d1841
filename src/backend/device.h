// SPDX-License-Identifier: Apache-2.0
// Memory of a device, and work recorded on it. Everything happens in the order of the calls, together with the kernels that
// are launched on the back end's stream in between.
#pragma once

#include <cstddef>

#include "base/memory.h"

namespace quamba2 {

class Device {
 public:
  virtual ~Device() = default;

  // Zeroed, aligned to 256 bytes. Throws Error{kResource}, which says how much was asked for and how much is free.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  virtual size_t free_bytes() const = 0;

  // All throw Error{kRuntime} where work before them has failed, and Error{kResource} where the device was lost.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;    // `from` may be reused at once
  virtual void download(void* to, const void* from, size_t bytes) = 0;  // waits
  virtual void copy(void* to, const void* from, size_t bytes) = 0;      // inside the device
  virtual void zero(void* memory, size_t bytes) = 0;
  virtual void synchronize() = 0;

  // Memory of this process that the device copies to without a stop (HostMemory owns some).
  virtual void* allocate_host(size_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;
  // To such memory; it is there once a wait for a mark set behind this has ended, or `synchronize`.
  virtual void download_later(void* to, const void* from, size_t bytes) = 0;
  // From such memory, which must stay as it is until then.
  virtual void upload_later(void* to, const void* from, size_t bytes) = 0;
  // To such memory, behind all calls so far, but beside those that follow: only a mark that is set aside tells when it is there.
  virtual void download_aside(void* to, const void* from, size_t bytes) = 0;
  // Places in the order of the calls.
  virtual void* make_mark() = 0;
  virtual void release_mark(void* mark) noexcept = 0;
  virtual void set_mark(void* mark) = 0;        // behind all calls so far
  virtual void set_mark_aside(void* mark) = 0;  // behind all copies aside so far
  virtual void wait_for_mark(void* mark) = 0;   // where it was set last
  virtual void wait_later(void* mark) = 0;      // the calls that follow do, not the caller
  // Throws where a kernel could not be launched; `what` names it.
  virtual void check_launch(const char* what) = 0;

  // Kernels that are launched between these two are not run but recorded. `replay` runs a recording as often as wanted,
  // with the arguments that the kernels had then.
  virtual void begin_recording() = 0;
  virtual void* end_recording() = 0;
  virtual void replay(void* recording) = 0;
  virtual void release_recording(void* recording) noexcept = 0;
};

// To and from memory where kernels work: of a device, or of this process where `device` is null.
void write_memory(Device* device, void* to, const void* from, size_t bytes);
void read_memory(Device* device, void* to, const void* from, size_t bytes);
void zero_memory(Device* device, void* memory, size_t bytes);

// Zeroed memory of this process that a device copies to directly.
class HostMemory {
 public:
  HostMemory() = default;
  // Throws Error{kResource}.
  HostMemory(Device& device, size_t bytes);
  ~HostMemory();
  HostMemory(HostMemory&& other) noexcept { swap(other); }
  HostMemory& operator=(HostMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void swap(HostMemory& other) noexcept;

  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Zeroed memory where the kernels of a back end work: of its device, or of this process.
class Storage {
 public:
  Storage() = default;
  // Throws Error{kResource}.
  Storage(Device* device, size_t bytes);
  ~Storage();
  Storage(Storage&& other) noexcept { swap(other); }
  Storage& operator=(Storage&& other) noexcept {
    swap(other);
    return *this;
  }
  void* data() const { return device_ ? on_device_ : host_.data(); }
  size_t size() const { return size_; }
  bool contains(const void* address) const;

 private:
  void swap(Storage& other) noexcept;

  Device* device_ = nullptr;
  void* on_device_ = nullptr;
  AlignedBuffer host_;
  size_t size_ = 0;
};

}  // namespace quamba2
