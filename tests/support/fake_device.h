// SPDX-License-Identifier: Apache-2.0
// A GPU in host memory, for the host side of the CUDA back end: work waits in its stream until somebody waits for it, so a
// copy that is read too early or a buffer that is reused too early shows; memory is poisoned; any call can be made to fail.
// There is one stream for kernels, and others for copies beside them, which are as late as they may be.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/device.h"
#include "backend/program.h"
#include "backends/cuda/device_api.h"

namespace quamba2::testing {

class FakeDeviceApi : public DeviceApi {
 public:
  static constexpr Status kFailed = 2, kLost = 3, kNoDriver = 4;

  int devices = 1;
  size_t total_bytes = size_t{1} << 30;
  // The call by name that fails, at its n-th time from now (1: the next), and with what.
  std::string failing;
  int failing_at = 0;
  Status failing_with = kFailed;
  std::map<std::string, int> calls;

  size_t used_bytes() const;
  size_t live_blocks() const { return blocks_.size() + pinned_.size() + recordings_.size() + events_.size(); }
  bool owns(const void* address) const;
  // Puts a kernel into the stream, or into what is being recorded.
  void launch(std::function<void()> work);

  std::string text_of(Status status) const override;
  bool is_lost(Status status) const override { return status == kLost; }
  Status count(int* devices) override;
  Status describe(int device, DeviceSpec* spec) override;
  Status select(int device) override;
  Status memory(size_t* free, size_t* total) override;
  Status allocate(void** memory, size_t bytes) override;
  void release(void* memory) override;
  Status allocate_pinned(void** memory, size_t bytes) override;
  void release_pinned(void* memory) override;
  Status create_stream(void** stream) override;
  Status create_side_stream(void** stream) override;
  void destroy_stream(void* stream) override;
  Status copy_to_device(void* to, const void* from, size_t bytes, void* stream) override;
  Status copy_to_host(void* to, const void* from, size_t bytes, void* stream) override;
  Status copy(void* to, const void* from, size_t bytes, void* stream) override;
  Status zero(void* memory, size_t bytes, void* stream) override;
  Status synchronize(void* stream) override;
  Status create_event(void** event) override;
  void destroy_event(void* event) override;
  Status record_event(void* event, void* stream) override;
  Status wait_for_event(void* event) override;
  Status stream_waits(void* stream, void* event) override;
  Status last_launch() override;
  Status begin_recording(void* stream) override;
  Status end_recording(void* stream, void** recording) override;
  Status replay(void* recording, void* stream) override;
  void release_recording(void* recording) override;

 private:
  using Work = std::vector<std::function<void()>>;
  struct Queue {
    Work work;
    size_t done = 0;  // of it
  };
  struct Event {
    bool happened = true;
    Queue* of = nullptr;  // where it was recorded last
  };
  Status result(const std::string& call);
  Status move(const std::string& call, void* to, const void* from, size_t bytes, void* stream);
  Queue& queue_of(void* stream) { return stream == this ? kernels_ : *static_cast<Queue*>(stream); }
  void put(Queue& queue, std::function<void()> work);
  static void run_until(Queue& queue, const bool* happened);

  std::map<const char*, std::vector<char>> blocks_, pinned_;
  std::map<void*, std::unique_ptr<Work>> recordings_;
  std::map<void*, std::shared_ptr<Event>> events_;
  std::map<void*, std::unique_ptr<Queue>> side_;
  Queue kernels_;
  Work recorded_;
  bool recording_ = false;
};

// The scalar table of the CPU as kernels of the fake: they run when the stream does, on memory that must be the device's.
const KernelTable& fake_table();

// Compiles any list of steps: its kernels in one piece of work, which then spoils what nobody outside of the list may read.
std::unique_ptr<Program> fake_program(ProgramSteps steps, Device& device, const DeviceSpec& spec, void* stream);

}  // namespace quamba2::testing
