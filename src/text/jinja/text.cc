// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/text.h"

#include <utf8proc.h>

#include "text/utf8.h"

namespace quamba2::jinja {

bool is_python_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO: return false;
    default: return true;
  }
}

int64_t count_characters(std::string_view s) {
  int64_t n = 0;
  for (const char c : s) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

std::vector<std::string_view> characters(std::string_view s) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < s.size(); at += utf8_length(s[at])) out.push_back(s.substr(at, utf8_length(s[at])));
  return out;
}

namespace {

bool is_stripped(std::string_view s, size_t at, const std::string* set) {
  if (set) return set->find(s.substr(at, utf8_length(s[at]))) != set->npos;
  return is_python_space(utf8_next(s, &at));
}

char32_t upper_of(char32_t c) { return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))); }

char32_t lower_of(char32_t c) { return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))); }

char32_t title_of(char32_t c) { return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))); }

void append_upper(char32_t c, std::string* out) {
  if (c == 0xDF) {
    *out += "SS";
  } else {
    utf8_append(upper_of(c), out);
  }
}

// Lower case, but for characters of which `starts` says that a word starts there.
template <class Starts>
std::string with_starts(std::string_view s, Starts starts) {
  std::string out;
  for (size_t at = 0; at < s.size();) {
    const size_t from = at;
    const char32_t c = utf8_next(s, &at);
    if (!starts(from, c)) {
      utf8_append(lower_of(c), &out);
    } else if (c == 0xDF) {
      out += "Ss";
    } else {
      utf8_append(title_of(c), &out);
    }
  }
  return out;
}

}  // namespace

std::string_view strip(std::string_view s, const std::string* set, bool left, bool right) {
  while (left && !s.empty() && is_stripped(s, 0, set)) s.remove_prefix(utf8_length(s[0]));
  while (right && !s.empty() && is_stripped(s, utf8_last(s), set)) s = s.substr(0, utf8_last(s));
  return s;
}

std::string upper(std::string_view s) {
  std::string out;
  for (size_t at = 0; at < s.size();) append_upper(utf8_next(s, &at), &out);
  return out;
}

std::string lower(std::string_view s) {
  std::string out;
  for (size_t at = 0; at < s.size();) utf8_append(lower_of(utf8_next(s, &at)), &out);
  return out;
}

std::string capitalize(std::string_view s) {
  return with_starts(s, [](size_t at, char32_t) { return at == 0; });
}

std::string title(std::string_view s) {
  bool inside = false;
  return with_starts(s, [&](size_t, char32_t c) {
    const bool cased = upper_of(c) != c || lower_of(c) != c || c == 0xDF;
    const bool starts = cased && !inside;
    inside = cased;
    return starts;
  });
}

std::string title_filter(std::string_view s) {
  bool before = true;
  return with_starts(s, [&](size_t, char32_t c) {
    const bool breaks = is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    const bool starts = before && !breaks;
    before = breaks;
    return starts;
  });
}

namespace {

std::vector<std::string_view> split_at_spaces(std::string_view s, int64_t most) {
  std::vector<std::string_view> out;
  s = strip(s, nullptr, true, false);
  while (!s.empty()) {
    if (most >= 0 && static_cast<int64_t>(out.size()) >= most) {
      out.push_back(s);
      break;
    }
    size_t end = 0;
    while (end < s.size() && !is_stripped(s, end, nullptr)) end += utf8_length(s[end]);
    out.push_back(s.substr(0, end));
    s = strip(s.substr(end), nullptr, true, false);
  }
  return out;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

}  // namespace

std::vector<std::string_view> split(std::string_view s, const std::string* separator, int64_t most) {
  if (!separator) return split_at_spaces(s, most);
  std::vector<std::string_view> out;
  for (size_t found = s.find(*separator); found != s.npos; found = s.find(*separator)) {
    if (most >= 0 && static_cast<int64_t>(out.size()) >= most) break;
    out.push_back(s.substr(0, found));
    s.remove_prefix(found + separator->size());
  }
  out.push_back(s);
  return out;
}

std::vector<std::string_view> split_lines(std::string_view s, bool keep_ends) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  for (size_t at = 0; at < s.size();) {
    const size_t from = at;
    const char32_t c = utf8_next(s, &at);
    if (!is_line_end(c)) continue;
    if (c == '\r' && at < s.size() && s[at] == '\n') ++at;
    out.push_back(s.substr(begin, (keep_ends ? at : from) - begin));
    begin = at;
  }
  if (begin < s.size()) out.push_back(s.substr(begin));
  return out;
}

std::string replace(std::string_view s, std::string_view from, std::string_view to, int64_t most) {
  std::string out;
  for (size_t found = s.find(from); found != s.npos && most != 0; found = s.find(from), --most) {
    out.append(s.substr(0, found)).append(to);
    s.remove_prefix(found + from.size());
  }
  return out.append(s);
}

}  // namespace quamba2::jinja
