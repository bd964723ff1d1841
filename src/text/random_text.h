// SPDX-License-Identifier: Apache-2.0
// Random texts for property tests: every code point can come, the awkward ones come often.
#pragma once

#include <string>

#include "base/random.h"
#include "text/utf8.h"

namespace quamba2::testing {

inline char32_t random_code_point(Random* random) {
  constexpr char32_t kOdd[] = {' ',     ' ',     '\n',   '\r',   '\t',     '\'',   's',    0,       0x85,    0xA0,
                               0x301,   0x323,   0x180E, 0x2003, 0x200D,   0x2028, 0x2581, 0x3000,  0xFEFF,  0xFFFD,
                               0x1F468, 0x1F3FD, 0xFE0F, 0xAC01, 0x10FFFF, 0x0378, 0x1C89, 0x10D40, 0x31350, 0x17F};
  switch (random->below(5)) {
    case 0: return static_cast<char32_t>('a' + random->below(26));
    case 1: return static_cast<char32_t>(random->below(0x80));
    case 2: return kOdd[random->below(std::size(kOdd))];
    case 3: return static_cast<char32_t>(0x80 + random->below(0x3000));
    default: break;
  }
  const auto c = static_cast<char32_t>(random->below(0x110000 - 0x800));
  return c < 0xD800 ? c : c + 0x800;
}

inline std::string random_text(Random* random, int64_t max_characters) {
  std::string text;
  for (int64_t n = random->below(max_characters + 1); n > 0; --n) utf8_append(random_code_point(random), &text);
  return text;
}

inline std::string random_bytes(Random* random, int64_t max_bytes) {
  std::string text;
  for (int64_t n = random->below(max_bytes + 1); n > 0; --n) text.push_back(static_cast<char>(random->below(256)));
  return text;
}

}  // namespace quamba2::testing
