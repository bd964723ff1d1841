// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace quamba2::cli {

std::string human_bytes(uint64_t bytes);    // 14.7 MB: powers of 1000, as file managers and the papers count
std::string binary_bytes(uint64_t bytes);   // 1.53 GiB: powers of 1024, as llama-bench prints
std::string human_count(int64_t count);     // 7.70 M
std::string grouped(int64_t number);        // 65,536
std::string human_seconds(double seconds);  // 0.35 s, 12 s, 3:07, 1:02:45
std::string human_rate(double a_second);    // 1,234 or 12.3
std::string three_digits(double value);     // 0.0123, 1.23, 12.3, 123

}  // namespace quamba2::cli
