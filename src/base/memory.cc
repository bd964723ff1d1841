// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSlab = size_t{64} << 20;  // address space; pages that nobody touches take no memory

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

[[noreturn]] void out_of_memory(size_t bytes) {
  throw Error(ErrorCode::kResource, "out of memory", "", std::to_string(bytes) + " bytes could not be allocated",
              "close other programs or use a smaller model, batch or context");
}

// `size` bytes, a multiple of kHugePage, aligned to it.
char* map_huge(size_t size) {
  if (size > SIZE_MAX - kHugePage) out_of_memory(size);
  void* mapped = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) out_of_memory(size);
  char* const begin = static_cast<char*>(mapped);
  const size_t skip = round_up(reinterpret_cast<uintptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin);
  if (skip > 0) ::munmap(begin, skip);
  if (skip < kHugePage) ::munmap(begin + skip + size, kHugePage - skip);
  ::madvise(begin + skip, size, MADV_HUGEPAGE);
  return begin + skip;
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  const size_t alignment = bytes >= 4 * kHugePage ? kHugePage : 64;
  const size_t rounded = round_up(bytes, alignment);
  data_ = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
  if (!data_) out_of_memory(bytes);
  if (alignment == kHugePage) ::madvise(data_, rounded, MADV_HUGEPAGE);
  std::memset(data_, 0, bytes);
}

AlignedBuffer::~AlignedBuffer() { std::free(data_); }

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Arena::~Arena() {
  for (const Slab& slab : slabs_) ::munmap(slab.data, slab.size);
}

void* Arena::take(size_t bytes) {
  if (bytes > SIZE_MAX - kSlab) out_of_memory(bytes);
  const size_t size = round_up(bytes, 64);
  if (slabs_.empty() || size > slabs_.back().size - used_) {
    const size_t slab = round_up(size > kSlab ? size : kSlab, kHugePage);
    slabs_.push_back({map_huge(slab), slab});
    used_ = 0;
  }
  void* block = slabs_.back().data + used_;
  used_ += size;
  return block;
}

uint64_t peak_memory_bytes() {
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace quamba2
