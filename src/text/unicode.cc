// SPDX-License-Identifier: Apache-2.0
#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>
#include <vector>

#include "base/check.h"
#include "text/unicode_tables.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

bool in_ranges(std::span<const CodeRange> ranges, char32_t c) {
  const auto it =
      std::upper_bound(ranges.begin(), ranges.end(), c, [](char32_t v, const CodeRange& r) { return v < r.first; });
  return it != ranges.begin() && c <= std::prev(it)->last;
}

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_letter_category(utf8proc_category_t k) { return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO; }
bool is_mark_category(utf8proc_category_t k) { return k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME; }
bool is_number_category(utf8proc_category_t k) { return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO; }

bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

struct FormTraits {
  // Characters below `first_affected` are their own normal form, and none of them composes with one before it.
  char32_t first_affected;
  utf8proc_option_t decompose;
  bool compose;
};

FormTraits traits_of(NormalForm form) {
  constexpr auto kCanonical = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  constexpr auto kCompatible = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  switch (form) {
    case NormalForm::kNfc: return {0x300, kCanonical, true};
    case NormalForm::kNfd: return {0xC0, kCanonical, false};
    case NormalForm::kNfkc: return {0xA0, kCompatible, true};
    case NormalForm::kNfkd: return {0xA0, kCompatible, false};
  }
  QUAMBA2_CHECK(false, "no such normal form");
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// utf8proc's own reordering is an insertion sort, quadratic on a long run of marks; hence this one.
void reorder_marks(std::vector<utf8proc_int32_t>* text) {
  for (auto it = text->begin(); it != text->end();) {
    if (combining_class(*it) == 0) {
      ++it;
      continue;
    }
    const auto end = std::find_if(it, text->end(), [](auto c) { return combining_class(c) == 0; });
    std::stable_sort(it, end, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    it = end;
  }
}

// Appends `points`, decomposed already, to `out`.
void append_composed(std::vector<utf8proc_int32_t>* points, bool compose, std::string* out) {
  reorder_marks(points);
  if (compose) {
    const auto n = utf8proc_normalize_utf32(points->data(), static_cast<utf8proc_ssize_t>(points->size()),
                                            static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    QUAMBA2_CHECK(n >= 0, "utf8proc refused to compose");
    points->resize(static_cast<size_t>(n));
  }
  for (utf8proc_int32_t c : *points) {
    if (c == 0x11938) {  // a composition that kUnnormalized rules out
      utf8_append(0x11935, out);
      utf8_append(0x11930, out);
    } else {
      utf8_append(static_cast<char32_t>(c), out);
    }
  }
  points->clear();
}

void append_normalized(std::string_view text, const FormTraits& traits, std::string* out) {
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, &at);
    if (in_ranges(kUnnormalized, c)) {
      append_composed(&points, traits.compose, out);
      utf8_append(c, out);
      continue;
    }
    utf8proc_int32_t expanded[32];  // the longest decomposition (U+FDFA) has 18
    int boundary_class = 0;
    const auto n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), expanded, 32, traits.decompose, &boundary_class);
    QUAMBA2_CHECK(n >= 0 && n <= 32, "a decomposition of more than 32 characters");
    points.insert(points.end(), expanded, expanded + n);
  }
  append_composed(&points, traits.compose, out);
}

char32_t lower_of(char32_t c) {
  for (const LowerRange& r : kNewLower) {
    if (c >= r.first && c <= r.last) return static_cast<char32_t>(static_cast<int32_t>(c) + r.distance);
  }
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

}  // namespace

CharClass char_class(char32_t c) {
  const utf8proc_category_t k = category(c);
  if (is_letter_category(k)) return CharClass::kLetter;
  if (is_number_category(k)) return CharClass::kNumber;
  if (is_white_space(c)) return CharClass::kSpace;
  if (k != UTF8PROC_CATEGORY_CN) return CharClass::kOther;
  if (in_ranges(kNewLetters, c)) return CharClass::kLetter;
  return in_ranges(kNewNumbers, c) ? CharClass::kNumber : CharClass::kOther;
}

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return char_class(c) == CharClass::kNumber || in_ranges(kNewNumerics, c);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return is_ascii_punctuation(c);
  if (c == 0x166D || c == 0x111C9) return true;  // punctuation until Unicode 12 and 11
  const utf8proc_category_t k = category(c);
  return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO && !in_ranges(kNewPunctuation, c);
}

bool is_word(char32_t c) {
  const utf8proc_category_t k = category(c);
  if (is_letter_category(k) || is_mark_category(k) || k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL ||
      k == UTF8PROC_CATEGORY_PC) {
    return true;
  }
  if (c == 0x200C || c == 0x200D) return true;  // Join_Control
  // Other_Alphabetic: circled and squared letters
  if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
      (c >= 0x1F170 && c <= 0x1F189)) {
    return true;
  }
  if (k != UTF8PROC_CATEGORY_CN) return false;
  const bool new_digit = in_ranges(kNewNumbers, c) && !(c >= 0x1D2C0 && c <= 0x1D2D3);  // those are No
  return new_digit || in_ranges(kNewLetters, c);
}

std::string normalize(std::string_view text, NormalForm form) {
  const FormTraits traits = traits_of(form);
  std::string out;
  out.reserve(text.size());
  size_t done = 0, last = 0;  // [0, done) is written; `last` is where the character before `at` starts
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (utf8_next(text, &at) < traits.first_affected) {
      last = start;
      continue;
    }
    // An affected stretch: from the character before it, which it may compose with, up to the next ASCII character.
    const size_t begin = std::max(done, last);
    out.append(text.substr(done, begin - done));
    while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) ++at;
    append_normalized(text.substr(begin, at - begin), traits, &out);
    done = last = at;
  }
  out.append(text.substr(done));
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, &at);
    if (c == 0x130) {  // the one character whose lower case has two
      out += "i\xCC\x87";
    } else {
      utf8_append(lower_of(c), &out);
    }
  }
  return out;
}

std::string strip_accents(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (category(utf8_next(text, &at)) != UTF8PROC_CATEGORY_MN) out.append(text.substr(start, at - start));
  }
  return out;
}

}  // namespace quamba2
