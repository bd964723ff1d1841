// SPDX-License-Identifier: Apache-2.0
// Properties of code points and the normal forms, as Hugging Face's `tokenizers` sees them. Tables come from utf8proc
// (Unicode 15). Its classes follow Unicode 16 there and its normal forms Unicode 9; unicode_tables.h lists the code
// points in between, so that ids agree with tokenizers 0.23 on all of Unicode. Known rest: \p{..} of sub-categories and
// scripts in a regular expression (PCRE2 10.42 has Unicode 14), and `single_word` beside marks since Unicode 16.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quamba2 {

// The four classes of the GPT-2 pattern: \p{L}, \p{N}, \s, and the rest.
enum class CharClass : uint8_t { kLetter, kNumber, kSpace, kOther };
CharClass char_class(char32_t c);

bool is_white_space(char32_t c);  // White_Space; U+180E is not one
bool is_numeric(char32_t c);      // Nd, Nl, No
bool is_punctuation(char32_t c);  // ASCII punctuation, and P* of Unicode 8
bool is_word(char32_t c);         // \w of Rust's regex

enum class NormalForm : uint8_t { kNfc, kNfd, kNfkc, kNfkd };
// `text` must be valid UTF-8. Linear but for a sort inside runs of combining marks.
std::string normalize(std::string_view text, NormalForm form);

std::string to_lower(std::string_view text);
std::string strip_accents(std::string_view text);  // removes nonspacing marks

}  // namespace quamba2
