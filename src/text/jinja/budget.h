// SPDX-License-Identifier: Apache-2.0
// What a template may cost: templates come with models and are not trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace quamba2::jinja {

// The template is at fault, or asks for something that is not known here: Error{kModelFile}.
[[noreturn]] void unsupported(const std::string& why);
// The template and these messages do not go together: Error{kUsage}.
[[noreturn]] void failed(const std::string& why);

inline constexpr size_t kMaxTemplateBytes = 1 << 20;
inline constexpr size_t kMaxText = 32 << 20;  // bytes of a string, and of the whole output
inline constexpr int kMaxDepth = 64;          // of nested values
inline constexpr int kMaxNesting = 100;       // of expressions and blocks in the source

// Every step and every 64 bytes that are written, copied or compared count one.
class Budget {
 public:
  void step() { take(1); }
  void text(size_t bytes) {
    if (bytes > kMaxText) failed("a text grows beyond 32 MiB");
    take(1 + static_cast<int64_t>(bytes / 64));
  }
  void elements(size_t n) { take(1 + static_cast<int64_t>(n)); }

 private:
  void take(int64_t n) {
    left_ -= n;
    if (left_ < 0) failed("it takes more than 10 million steps");
  }
  int64_t left_ = 10'000'000;
};

}  // namespace quamba2::jinja
