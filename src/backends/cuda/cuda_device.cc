// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/cuda_device.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr size_t kPinned = size_t{8} << 20;
constexpr size_t kAlign = 64;

std::string size_text(size_t bytes) {
  char out[48];
  std::snprintf(out, sizeof out, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return out;
}

}  // namespace

CudaDevice::CudaDevice(DeviceApi& api, int index) : api_(api), index_(index), where_("cuda:" + std::to_string(index)) {
  int count = 0;
  if (const DeviceApi::Status status = api_.count(&count)) {
    throw Error(ErrorCode::kResource, "no GPU can be used", where_, api_.text_of(status),
                "install NVIDIA's driver, or use --device cpu");
  }
  if (count == 0) {
    throw Error(ErrorCode::kResource, "no such device", where_, "the driver shows no GPU",
                "look at CUDA_VISIBLE_DEVICES, or use --device cpu");
  }
  if (index < 0 || index >= count) {
    throw Error(ErrorCode::kResource, "no such device", where_,
                "there " + std::string(count == 1 ? "is 1 GPU, cuda:0" : "are " + std::to_string(count) + " GPUs"),
                "use --device cuda:0");
  }
  check(api_.describe(index, &spec_), "asking what it is");
  select();
  check(api_.create_stream(&stream_), "making a stream");
  void* pinned = nullptr;
  if (const DeviceApi::Status status = api_.allocate_pinned(&pinned, 2 * kPinned)) {
    api_.destroy_stream(stream_);
    check(status, "reserving memory for copies");
  }
  pinned_ = static_cast<char*>(pinned);
}

CudaDevice::~CudaDevice() {
  api_.select(index_);
  api_.synchronize(stream_);
  api_.release_pinned(pinned_);
  api_.destroy_stream(stream_);
}

void CudaDevice::check(DeviceApi::Status status, const std::string& doing) const {
  if (status == 0) return;
  const bool lost = api_.is_lost(status);
  throw Error(lost ? ErrorCode::kResource : ErrorCode::kRuntime, lost ? "the GPU was lost" : "the GPU failed", where_,
              api_.text_of(status) + " while " + doing,
              lost ? "start again; dmesg and nvidia-smi may say why, and --device cpu works without it"
                   : "report this as a bug with the command that led to it");
}

void CudaDevice::select() const { check(api_.select(index_), "choosing it"); }

size_t CudaDevice::free_bytes() const {
  size_t available = 0, total = 0;
  select();
  check(api_.memory(&available, &total), "asking for its memory");
  return available;
}

void* CudaDevice::allocate(size_t bytes) {
  select();
  void* memory = nullptr;
  const size_t most = free_bytes();
  const DeviceApi::Status status = bytes > most ? 1 : api_.allocate(&memory, std::max<size_t>(bytes, 1));
  if (bytes > most || (status != 0 && !api_.is_lost(status))) {
    throw Error(
        ErrorCode::kResource, "not enough memory on the GPU", where_,
        size_text(bytes) + " are needed, " + size_text(most) + " of " + size_text(spec_.memory_bytes) + " are free",
        "end other programs that use it, choose a smaller model, batch or prompt piece, or use --device cpu");
  }
  check(status, "allocating memory");
  taken_[memory] = bytes;
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  zero(memory, bytes);
  return memory;
}

void CudaDevice::release(void* memory) noexcept {
  const auto at = taken_.find(memory);
  if (at != taken_.end()) used_ -= at->second, taken_.erase(at);
  api_.select(index_);
  api_.synchronize(stream_);  // kernels may still use it
  api_.release(memory);
}

void CudaDevice::upload(void* to, const void* from, size_t bytes) {
  select();
  const char* source = static_cast<const char*>(from);
  char* target = static_cast<char*>(to);
  while (bytes > 0) {
    if (pinned_used_ == kPinned) synchronize();
    const size_t piece = std::min(bytes, kPinned - pinned_used_);
    std::memcpy(pinned_ + pinned_used_, source, piece);
    check(api_.copy_to_device(target, pinned_ + pinned_used_, piece, stream_), "copying to it");
    pinned_used_ = std::min(kPinned, (pinned_used_ + piece + kAlign - 1) / kAlign * kAlign);
    source += piece, target += piece, bytes -= piece;
  }
}

// Through the second half of the pinned memory; uploads, which may still be on their way, use the first.
void CudaDevice::download(void* to, const void* from, size_t bytes) {
  select();
  char* target = static_cast<char*>(to);
  const char* source = static_cast<const char*>(from);
  while (bytes > 0) {
    const size_t piece = std::min(bytes, kPinned);
    check(api_.copy_to_host(pinned_ + kPinned, source, piece, stream_), "copying from it");
    synchronize();
    std::memcpy(target, pinned_ + kPinned, piece);
    source += piece, target += piece, bytes -= piece;
  }
}

void CudaDevice::copy(void* to, const void* from, size_t bytes) {
  select();
  check(api_.copy(to, from, bytes, stream_), "copying inside it");
}

void CudaDevice::zero(void* memory, size_t bytes) {
  select();
  if (bytes > 0) check(api_.zero(memory, bytes, stream_), "clearing memory");
}

void CudaDevice::synchronize() {
  select();
  check(api_.synchronize(stream_), "waiting for it");
  pinned_used_ = 0;
}

void* CudaDevice::allocate_host(size_t bytes) {
  select();
  void* memory = nullptr;
  if (const DeviceApi::Status status = api_.allocate_pinned(&memory, std::max<size_t>(bytes, 1))) {
    throw Error(
        ErrorCode::kResource, "not enough memory", where_,
        size_text(bytes) + " of this machine's memory are needed for copies from the GPU: " + api_.text_of(status),
        "end other programs, or use a smaller batch");
  }
  std::memset(memory, 0, bytes);
  return memory;
}

void CudaDevice::release_host(void* memory) noexcept {
  api_.select(index_);
  api_.synchronize(stream_);  // copies may still be on their way
  api_.release_pinned(memory);
}

void CudaDevice::download_later(void* to, const void* from, size_t bytes) {
  select();
  check(api_.copy_to_host(to, from, bytes, stream_), "copying from it");
}

void* CudaDevice::make_mark() {
  select();
  void* event = nullptr;
  check(api_.create_event(&event), "making a mark");
  return event;
}

void CudaDevice::release_mark(void* mark) noexcept {
  api_.select(index_);
  api_.destroy_event(mark);
}

void CudaDevice::set_mark(void* mark) { check(api_.record_event(mark, stream_), "setting a mark"); }

void CudaDevice::wait_for_mark(void* mark) { check(api_.wait_for_event(mark), "waiting for it"); }

void CudaDevice::check_launch(const char* what) { check(api_.last_launch(), std::string("starting ") + what); }

void CudaDevice::begin_recording() {
  select();
  check(api_.begin_recording(stream_), "recording");
}

void* CudaDevice::end_recording() {
  void* recording = nullptr;
  check(api_.end_recording(stream_, &recording), "recording");
  return recording;
}

void CudaDevice::replay(void* recording) { check(api_.replay(recording, stream_), "starting a recording"); }

void CudaDevice::release_recording(void* recording) noexcept {
  api_.select(index_);
  api_.synchronize(stream_);
  api_.release_recording(recording);
}

}  // namespace quamba2
