// SPDX-License-Identifier: Apache-2.0
// One GPU with one stream: memory, copies through a pinned buffer, recordings, and errors in the words of the library.
#pragma once

#include <string>

#include "backend/device.h"
#include "backends/cuda/device_api.h"

namespace quamba2 {

class CudaDevice : public Device {
 public:
  // Throws Error{kResource} where there is no such device or it cannot be used.
  CudaDevice(DeviceApi& api, int index);
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  const DeviceSpec& spec() const { return spec_; }
  void* stream() const { return stream_; }
  // Makes it the calling thread's device, where kernels are launched.
  void select() const;

  void* allocate(size_t bytes) override;
  void release(void* memory) noexcept override;
  size_t free_bytes() const override;
  void upload(void* to, const void* from, size_t bytes) override;
  void download(void* to, const void* from, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void zero(void* memory, size_t bytes) override;
  void synchronize() override;
  void* allocate_host(size_t bytes) override;
  void release_host(void* memory) noexcept override;
  void download_later(void* to, const void* from, size_t bytes) override;
  void upload_later(void* to, const void* from, size_t bytes) override;
  void download_aside(void* to, const void* from, size_t bytes) override;
  void* make_mark() override;
  void release_mark(void* mark) noexcept override;
  void set_mark(void* mark) override;
  void set_mark_aside(void* mark) override;
  void wait_for_mark(void* mark) override;
  void wait_later(void* mark) override;
  void check_launch(const char* what) override;
  void begin_recording() override;
  void* end_recording() override;
  void replay(void* recording) override;
  void release_recording(void* recording) noexcept override;

 private:
  void check(DeviceApi::Status status, const std::string& doing) const;
  void wait_for_all() noexcept;

  DeviceApi& api_;
  int index_;
  std::string where_;  // "cuda:0"
  DeviceSpec spec_;
  void* stream_ = nullptr;
  void *side_ = nullptr,
       *fork_ = nullptr;    // the stream of copies aside, and where it begins each; made for the first one
  char* pinned_ = nullptr;  // kPinned bytes for copies there, as many for copies back
  size_t pinned_used_ = 0;  // by uploads that may not have happened yet
};

}  // namespace quamba2
