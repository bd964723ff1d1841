// SPDX-License-Identifier: Apache-2.0
// Cache-line aligned memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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

// Zeroed blocks, aligned to 64 bytes, that follow one another in large slabs of huge pages: with pages of 4 KiB a model's
// weights would wait for address translation (decode reads all of them a token). Blocks live as long as the arena.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  // Throws Error{kResource}.
  void* take(size_t bytes);

 private:
  struct Slab {
    char* data;
    size_t size;
  };
  std::vector<Slab> slabs_;
  size_t used_ = 0;  // of the last slab
};

// What this process has had in memory at most, mapped files included; 0 where the system does not tell.
uint64_t peak_memory_bytes();

}  // namespace quamba2
