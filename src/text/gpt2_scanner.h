// SPDX-License-Identifier: Apache-2.0
// The GPT-2 pre-tokenization pattern, written by hand: it is where byte-level tokenizers spend their time.
#pragma once

#include <cstddef>
#include <string_view>

namespace quamba2 {

// What the scanner implements; a test compares it with this expression run by PCRE2.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Bytes of the match at the start of `text` (not empty, valid UTF-8). The pattern matches everywhere, so that the
// pieces cover the text without gaps.
size_t gpt2_match(std::string_view text);

}  // namespace quamba2
