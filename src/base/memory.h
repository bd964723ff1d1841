// SPDX-License-Identifier: Apache-2.0
// Cache-line aligned memory.
#pragma once

#include <cstddef>

namespace quamba2 {

// Zeroed bytes, aligned to 64 (large blocks to 2 MiB, with huge pages asked for). Throws Error{kResource}.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace quamba2
