// SPDX-License-Identifier: Apache-2.0
// What the back end asks of a GPU's runtime, so that everything above can be tested without one (fake_device_api.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace quamba2 {

// Facts about a device that choose kernels and are told to users.
struct DeviceSpec {
  std::string name;
  int32_t architecture = 0;  // compute capability: 10 * major + minor
  int32_t multiprocessors = 0;
  int32_t shared_bytes = 0;  // a block may ask for
  size_t memory_bytes = 0, cache_bytes = 0;
};

// Each function gives 0, or a status that `text_of` explains. Copies and zeroing happen in the order of the stream.
class DeviceApi {
 public:
  using Status = int;
  virtual ~DeviceApi() = default;

  virtual std::string text_of(Status status) const = 0;
  // True for statuses after which this process cannot use the device any more.
  virtual bool is_lost(Status status) const = 0;
  // Why no device can be used at all (no driver, too old a driver), or nothing.
  virtual Status count(int* devices) = 0;
  virtual Status describe(int device, DeviceSpec* spec) = 0;
  virtual Status select(int device) = 0;  // for the calling thread
  virtual Status memory(size_t* free, size_t* total) = 0;
  virtual Status allocate(void** memory, size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  virtual Status allocate_pinned(void** memory, size_t bytes) = 0;  // of the host
  virtual void release_pinned(void* memory) = 0;
  virtual Status create_stream(void** stream) = 0;       // for kernels
  virtual Status create_side_stream(void** stream) = 0;  // for copies beside them
  virtual void destroy_stream(void* stream) = 0;
  virtual Status copy_to_device(void* to, const void* from, size_t bytes, void* stream) = 0;
  virtual Status copy_to_host(void* to, const void* from, size_t bytes, void* stream) = 0;
  virtual Status copy(void* to, const void* from, size_t bytes, void* stream) = 0;  // inside the device
  virtual Status zero(void* memory, size_t bytes, void* stream) = 0;
  virtual Status synchronize(void* stream) = 0;
  virtual Status create_event(void** event) = 0;
  virtual void destroy_event(void* event) = 0;
  virtual Status record_event(void* event, void* stream) = 0;
  virtual Status wait_for_event(void* event) = 0;
  virtual Status stream_waits(void* stream, void* event) = 0;  // what follows in the stream does
  virtual Status last_launch() = 0;                            // of the calling thread; forgets it
  virtual Status begin_recording(void* stream) = 0;
  virtual Status end_recording(void* stream, void** recording) = 0;
  virtual Status replay(void* recording, void* stream) = 0;
  virtual void release_recording(void* recording) = 0;
};

}  // namespace quamba2
