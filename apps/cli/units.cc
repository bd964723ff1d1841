// SPDX-License-Identifier: Apache-2.0
#include "units.h"

#include <fmt/format.h>

#include <cmath>

namespace quamba2::cli {
namespace {

std::string scaled(double value, double step, const char* const (&names)[6]) {
  int i = 0;
  for (; i < 5 && value >= step; ++i) value /= step;
  return i == 0 ? fmt::format("{:.0f} {}", value, names[0]) : fmt::format("{} {}", three_digits(value), names[i]);
}

}  // namespace

std::string three_digits(double value) {
  const double size = std::abs(value);
  return size >= 99.95                ? fmt::format("{:.0f}", value)
         : size >= 9.995              ? fmt::format("{:.1f}", value)
         : size >= 0.995 || size == 0 ? fmt::format("{:.2f}", value)
                                      : fmt::format("{:.3g}", value);
}

std::string human_bytes(uint64_t bytes) {
  static constexpr const char* kNames[6] = {"B", "kB", "MB", "GB", "TB", "PB"};
  return scaled(static_cast<double>(bytes), 1000, kNames);
}

std::string binary_bytes(uint64_t bytes) {
  static constexpr const char* kNames[6] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  return scaled(static_cast<double>(bytes), 1024, kNames);
}

std::string human_count(int64_t count) {
  static constexpr const char* kNames[6] = {"", "k", "M", "B", "T", "P"};
  std::string text = scaled(static_cast<double>(count), 1000, kNames);
  if (text.back() == ' ') text.pop_back();
  return text;
}

std::string grouped(int64_t number) {
  const std::string digits =
      fmt::format("{}", number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number));
  std::string out = number < 0 ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string human_seconds(double seconds) {
  if (seconds < 10) return fmt::format("{:.2f} s", seconds);
  if (seconds < 59.5) return fmt::format("{:.0f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string human_rate(double a_second) {
  return a_second >= 1000 ? grouped(std::llround(a_second)) : three_digits(a_second);
}

}  // namespace quamba2::cli
