// SPDX-License-Identifier: Apache-2.0
// Did you mean?
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quamba2::cli {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b);

// The known word nearest to `word`, or empty where none is near enough to be meant. A word that begins with `word` counts
// as near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

// "did you mean 'w4a16'?", or `otherwise` where nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known, const std::string& otherwise);

// "a, b or c"
std::string listed(const std::vector<std::string>& words);

}  // namespace quamba2::cli
