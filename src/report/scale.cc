// SPDX-License-Identifier: Apache-2.0
#include "report/scale.h"

#include <algorithm>
#include <cmath>

#include "report/text.h"

namespace quamba2::report {
namespace {

constexpr double kTiny = 1e-200;    // nothing that is measured is smaller
constexpr double kZeroPixels = 34;  // of a logarithmic axis, set apart for zero
constexpr double kMarkPixels = 26;  // that a labelled mark wants
constexpr double kMantissas[] = {1, 2, 5};

// 1, 2 or 5 times a power of ten, at least `least`.
double nice_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double m : kMantissas) {
    if (m * power >= least * (1 - 1e-9)) return m * power;
  }
  return 10 * power;
}

// Marks 1, 2, 5 of every decade are numbered: 0 is 1, 1 is 2, 2 is 5, 3 is 10.
double mark(int i) {
  const int decade = i >= 0 ? i / 3 : -((2 - i) / 3);
  return kMantissas[i - 3 * decade] * std::pow(10.0, decade);
}

// The last mark that is not above `value`.
int mark_below(double value) {
  int i = 3 * static_cast<int>(std::floor(std::log10(value))) - 1;
  while (mark(i + 1) <= value * (1 + 1e-9)) ++i;
  return i;
}

// With as many digits as tell neighbours apart.
std::string mark_text(double value, double step) {
  const auto magnitude = [](double v) { return static_cast<int>(std::floor(std::log10(std::abs(v)) + 1e-9)); };
  const int last = magnitude(step);
  if (last >= -6 && std::abs(value) < 1e15) return fixed(value, std::max(0, -last));
  return value == 0 ? "0" : number(value, std::max(1, magnitude(value) - last + 1));
}

}  // namespace

Scale Scale::linear(std::span<const double> values, Pixels pixels, bool from_zero, int wanted) {
  Scale out(pixels, false);
  bool any = false;
  double low = 0, high = 0;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    low = any ? std::min(low, v) : v;
    high = any ? std::max(high, v) : v;
    any = true;
  }
  if (from_zero) low = std::min(low, 0.0), high = std::max(high, 0.0);
  const double size = std::max(std::abs(low), std::abs(high));
  if (size < kTiny) {
    low = 0, high = 1;
  } else if (high - low < 1e-9 * size) {  // equal, but for the last digits
    low -= 0.1 * size, high += 0.1 * size;
  }
  const double step = nice_step((high - low) / wanted);
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  out.low_ = first * step;
  out.high_ = last * step;
  for (int i = 0; i <= static_cast<int>(last - first); ++i) {
    const double value = (first + i) * step;
    out.ticks_.push_back({value, out.at(value), mark_text(value, step)});
  }
  return out;
}

Scale Scale::logarithmic(std::span<const double> values, Pixels pixels) {
  Scale out(pixels, true);
  double low = 0, high = 0;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    if (v < kTiny) {
      out.has_zero_ = true;
      continue;
    }
    low = low > 0 ? std::min(low, v) : v;
    high = std::max(high, v);
  }
  if (low == 0) low = 0.1, high = 1;
  const int first = mark_below(low);
  int last = mark_below(high);
  if (mark(last) < high * (1 - 1e-9) || last == first) ++last;
  out.low_ = std::log10(mark(first));
  out.high_ = std::log10(mark(last));
  if (out.has_zero_) {
    out.base_ += pixels.high > pixels.low ? kZeroPixels : -kZeroPixels;
    out.ticks_.push_back({0, pixels.low, "0"});
  }
  // All of 1, 2, 5 where there is room, else the powers of ten, else every second, third, ... of them.
  const int room = std::max(2, static_cast<int>(std::abs(pixels.high - out.base_) / kMarkPixels));
  const int decades = (last - first) / 3 + 1;
  const int stride = last - first < room ? 1 : 3 * ((decades + room - 1) / room);
  for (int i = first; i <= last; ++i) {
    const bool labelled = i % stride == 0;
    if (labelled || decades <= room)
      out.ticks_.push_back({mark(i), out.at(mark(i)), labelled ? number(mark(i), 1) : ""});
  }
  if (last - first <= 3) out.add_between(mark(first), mark(last));
  return out;
}

void Scale::add_between(double low, double high) {
  // Whole multiples of the powers of ten; numbers only where they stand clear of the others.
  const double power = std::pow(10.0, std::floor(std::log10(low) + 1e-9));
  for (int m = 1; m * power < high * (1 - 1e-9); m += m < 10 ? 1 : 10) {
    const double value = m * power, place = at(value);
    if (value <= low * (1 + 1e-9)) continue;
    double gap = kMarkPixels;
    for (const Tick& tick : ticks_)
      gap = std::min(gap, std::abs(tick.at - place) - (tick.text.empty() ? -kMarkPixels : 0));
    if (gap > 1) ticks_.push_back({value, place, gap >= kMarkPixels ? number(value, 1) : ""});
  }
}

double Scale::place(double value) const {
  const double share = (value - low_) / (high_ - low_);
  return base_ + std::clamp(share, 0.0, 1.0) * (pixels_.high - base_);
}

double Scale::at(double value) const {
  if (!log_) return place(value);
  return value < kTiny ? pixels_.low : place(std::log10(value));
}

}  // namespace quamba2::report
