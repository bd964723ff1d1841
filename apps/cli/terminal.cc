// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace quamba2::cli {
namespace {

bool set_and_not_empty(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

bool wants_colour(std::string_view colour, bool is_tty) {
  if (colour == "always") return true;
  if (colour == "never" || set_and_not_empty("NO_COLOR")) return false;
  const char* forced = std::getenv("FORCE_COLOR");
  if (forced && *forced) return std::string_view(forced) != "0";
  const char* term = std::getenv("TERM");
  return is_tty && !(term && std::string_view(term) == "dumb");
}

int columns_of(int fd) {
  if (const char* given = std::getenv("COLUMNS")) {
    const int columns = std::atoi(given);
    if (columns > 0) return columns;
  }
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

Terminal look_at_terminal(std::string_view colour) {
  Terminal t;
  t.output_is_tty = isatty(STDOUT_FILENO) == 1;
  t.error_is_tty = isatty(STDERR_FILENO) == 1;
  t.output_colour = wants_colour(colour, t.output_is_tty);
  t.error_colour = wants_colour(colour, t.error_is_tty);
  t.columns = columns_of(STDERR_FILENO);
  return t;
}

std::string styled(bool colour, Style style, std::string_view text) {
  if (!colour || text.empty()) return std::string(text);
  const char* code = "";
  switch (style) {
    case Style::kBold: code = "1"; break;
    case Style::kDim: code = "2"; break;
    case Style::kRed: code = "1;31"; break;
    case Style::kGreen: code = "32"; break;
    case Style::kYellow: code = "33"; break;
  }
  return std::string("\033[") + code + "m" + std::string(text) + "\033[0m";
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

}  // namespace quamba2::cli
