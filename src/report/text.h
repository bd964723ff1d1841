// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them, and text as HTML wants it. Nothing here depends on the locale.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

namespace quamba2::report {

// What a document does not say; printed as a dash.
inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// For element content and quoted attributes. Bytes that are no UTF-8 and control characters become U+FFFD.
std::string escape(std::string_view text);
// At most `characters` of them, the middle left out: names differ at both ends.
std::string shortened(std::string_view text, size_t characters);
// Pixels of a line of text, roughly: the page is written without knowing the reader's font. Errs to the wide side.
double text_width(std::string_view text, double font_size);

std::string number(double value, int digits = 3);                  // 0.00794, 1,234, 2.5e-7; significant digits
std::string fixed(double value, int decimals);                     // 109.67
std::string bytes_text(double bytes);                              // 42.6 MB: powers of 1000
std::string seconds_text(double seconds);                          // 0.35 s, 12.3 s, 3:07, 1:02:45
std::string change_text(double percent);                           // +0.91 %
std::string percent_text(double share);                            // 0.9731 -> 97.31 %
std::string plus_minus(double value, double error, int decimals);  // 109.67 ± 0.52

// The unit that suits sizes up to `largest`, so that an axis can count in it: {1e6, "MB"}.
struct Unit {
  double size = 1;
  const char* name = "B";
};
Unit byte_unit(double largest);

}  // namespace quamba2::report
