// SPDX-License-Identifier: Apache-2.0
// Values of options that are lists of numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quamba2::cli {

// "1,4" and llama-bench's ranges: "2-8" (by 1), "2-8+2", "2-8*2". Throws Error{kUsage} that names `option`.
std::vector<int64_t> parse_number_list(const std::string& text, const std::string& option);

// Throws what parse_number_list throws for `part` of a list.
[[noreturn]] void refuse_number_list(const std::string& option, const std::string& part);

}  // namespace quamba2::cli
