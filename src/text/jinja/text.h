// SPDX-License-Identifier: Apache-2.0
// Strings as Python sees them: made of code points. All texts are valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2::jinja {

bool is_python_space(char32_t c);  // str.isspace
bool is_printable(char32_t c);     // str.isprintable

int64_t count_characters(std::string_view s);
std::vector<std::string_view> characters(std::string_view s);

// str.strip, lstrip, rstrip: of white space, or of the characters of `set` where it is not null.
std::string_view strip(std::string_view s, const std::string* set, bool left, bool right);

// Simple case mapping, one code point to one (and "ß" to "SS"): Python's full mapping differs for a few ligatures.
std::string upper(std::string_view s);
std::string lower(std::string_view s);
std::string capitalize(std::string_view s);
std::string title(std::string_view s);         // str.title: words are runs of letters
std::string title_filter(std::string_view s);  // Jinja's filter: words follow white space, - ( { [ <

// Pieces between white space, or between `separator` where it is not null; at most `most` cuts, no limit where < 0.
std::vector<std::string_view> split(std::string_view s, const std::string* separator, int64_t most);
std::vector<std::string_view> split_lines(std::string_view s, bool keep_ends);
// The first `most` occurrences, all where < 0. An empty `from` is refused by the caller.
std::string replace(std::string_view s, std::string_view from, std::string_view to, int64_t most);

}  // namespace quamba2::jinja
