// SPDX-License-Identifier: Apache-2.0
// What the terminal can do: colour, width, and whether there is one at all.
#pragma once

#include <string>
#include <string_view>

namespace quamba2::cli {

enum class Style { kBold, kDim, kRed, kGreen, kYellow };

struct Terminal {
  bool output_is_tty = false, error_is_tty = false;
  bool output_colour = false, error_colour = false;
  int columns = 80;  // of standard error, where bars go
};

// `colour` is "auto", "always" or "never". Of the environment: NO_COLOR, FORCE_COLOR, TERM=dumb, COLUMNS; a flag that is
// not "auto" beats them.
Terminal look_at_terminal(std::string_view colour);

// `text` in a style where `colour`, else as it is.
std::string styled(bool colour, Style style, std::string_view text);

// Columns that valid UTF-8 takes, counting every character as one.
size_t display_width(std::string_view text);

}  // namespace quamba2::cli
