// SPDX-License-Identifier: Apache-2.0
// Oniguruma's Ruby syntax into PCRE2's, as far as tokenizers use it. What is rewritten, and why:
//   \s \S      PCRE2 counts U+180E as a space, Unicode since 6.3 does not
//   \p{L} \p{N} \d   PCRE2 10.42 has Unicode 14, Oniguruma 6.9.10 has 16: newer letters and numbers are added
//   \w \W      Oniguruma: Alphabetic, marks, Nd, Pc (and its slip: the fractions and superscripts of Latin-1)
//   \h \H      hexadecimal digits
// Refused with an error: nested character classes and && inside them. Left as they are, so that the code points of
// Unicode 15 and 16 may differ: sub-categories (\p{Lu}), scripts, and \P{..}, \D, \W inside a class.
#pragma once

#include <string>
#include <string_view>

namespace quamba2 {

std::string translate_oniguruma(std::string_view expression, const std::string& where);

}  // namespace quamba2
