// SPDX-License-Identifier: Apache-2.0
// FNV-1a with 64 bits (Fowler, Noll, Vo): finds equal keys and accidental damage. It guards against nobody who means harm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quamba2 {

class Fnv1a {
 public:
  void add(const void* data, size_t bytes) {
    const auto* from = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < bytes; ++i) hash_ = (hash_ ^ from[i]) * 0x100000001b3ull;
  }
  void add(std::string_view text) { add(text.data(), text.size()); }
  // A text and its end, so that "ab", "c" and "a", "bc" differ.
  void add_field(std::string_view text) {
    add(text);
    add("\0", 1);
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325ull;
};

std::string hex_digits(uint64_t value);  // 16 of them, lower case

}  // namespace quamba2
