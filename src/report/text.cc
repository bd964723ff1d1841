// SPDX-License-Identifier: Apache-2.0
#include "report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "text/utf8.h"

namespace quamba2::report {
namespace {

constexpr const char* kDash = "–";

// Bytes of the character that begins at `at`, or 0 where none does.
size_t character_length(std::string_view text, size_t at) {
  const size_t length = utf8_length(text[at]);
  return utf8_valid_prefix(text.substr(at, length)) == length ? length : 0;
}

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = std::max<size_t>(1, character_length(text, at));
    out.push_back(text.substr(at, length));
    at += length;
  }
  return out;
}

// "1234567.5" -> "1,234,567.5"
std::string grouped(const std::string& digits) {
  const size_t begin = digits[0] == '-' ? 1 : 0;
  const size_t end = std::min(digits.find('.'), digits.size());
  std::string out = digits.substr(0, begin);
  for (size_t i = begin; i < end; ++i) {
    if (i > begin && (end - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out + digits.substr(end);
}

// "2.50e-07" -> "2.5e-7"
std::string scientific(double value, int digits) {
  const std::string text = fmt::format("{:.{}e}", value, digits - 1);
  const size_t e = text.find('e');
  std::string mantissa = text.substr(0, e);
  if (mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  return fmt::format("{}e{}", mantissa, std::stoi(text.substr(e + 1)));
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_length(text, at);
    const char c = text[at];
    const bool control = static_cast<unsigned char>(c) < 0x20 ? c != '\n' && c != '\t' : c == 0x7F;
    if (length == 0 || control)
      out += kReplacementCharacter;
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += text.substr(at, length);
    at += std::max<size_t>(1, length);
  }
  return out;
}

std::string shortened(std::string_view text, size_t characters) {
  const std::vector<std::string_view> all = characters_of(text);
  if (all.size() <= characters) return std::string(text);
  const size_t tail = (characters - 1) / 2, head = characters - 1 - tail;
  std::string out;
  for (size_t i = 0; i < head; ++i) out += all[i];
  out += "…";
  for (size_t i = all.size() - tail; i < all.size(); ++i) out += all[i];
  return out;
}

double text_width(std::string_view text, double font_size) {
  double ems = 0;
  for (const std::string_view c : characters_of(text)) ems += c.size() >= 3 && c != "…" && c != "–" ? 1.0 : 0.63;
  return ems * font_size;
}

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return kDash;
  if (std::abs(value) >= 1e15) return scientific(value, 3);
  return grouped(fmt::format("{:.{}f}", value, decimals));
}

std::string number(double value, int digits) {
  if (!std::isfinite(value)) return kDash;
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size < 1e-4 || size >= 1e15) return scientific(value, digits);
  return fixed(value, std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(size)))));
}

Unit byte_unit(double largest) {
  static constexpr Unit kUnits[] = {{1e15, "PB"}, {1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
  for (const Unit& unit : kUnits) {
    if (largest >= unit.size) return unit;
  }
  return {};
}

std::string bytes_text(double bytes) {
  if (!std::isfinite(bytes)) return kDash;
  const Unit unit = byte_unit(std::abs(bytes));
  return unit.size == 1 ? fmt::format("{:.0f} B", bytes) : number(bytes / unit.size) + " " + unit.name;
}

std::string seconds_text(double seconds) {
  if (!std::isfinite(seconds)) return kDash;
  if (seconds < 10 || seconds >= 1e9) return number(seconds) + " s";
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const int64_t whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string change_text(double percent) {
  if (!std::isfinite(percent)) return kDash;
  const std::string size = std::abs(percent) >= 1e6 ? number(std::abs(percent)) : fixed(std::abs(percent), 2);
  return (percent < 0 ? "−" : "+") + size + " %";
}

std::string percent_text(double share) { return std::isfinite(share) ? fmt::format("{:.2f} %", 100 * share) : kDash; }

std::string plus_minus(double value, double error, int decimals) {
  return fixed(value, decimals) + (std::isfinite(error) ? " ± " + fixed(error, decimals) : "");
}

}  // namespace quamba2::report
