// SPDX-License-Identifier: Apache-2.0
// Axes: where a value lies, and which marks it has. Linear ones have marks at 1, 2 or 5 times a power of ten; logarithmic
// ones at the powers, with 2 and 5 between where there is room.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace quamba2::report {

struct Tick {
  double value = 0, at = 0;  // `at` in pixels
  std::string text;          // empty: a grid line alone
};

class Scale {
 public:
  // Pixels of the low and the high end; the low end of a vertical axis is the larger number.
  struct Pixels {
    double low = 0, high = 0;
  };

  // Values that are not finite are left out; no value, or several that are equal, still give an axis. `from_zero`: for
  // bars, whose length is what is read.
  static Scale linear(std::span<const double> values, Pixels pixels, bool from_zero, int wanted = 5);
  // Zero has no logarithm: where a value is zero (or less, by rounding), the low end is set apart for it.
  static Scale logarithmic(std::span<const double> values, Pixels pixels);

  // Pixels; values outside are drawn at the end.
  double at(double value) const;
  const std::vector<Tick>& ticks() const { return ticks_; }
  // Where the part for zero ends, for a logarithmic axis that has one; else the low end.
  double break_at() const { return base_; }
  bool has_zero() const { return has_zero_; }

 private:
  Scale(Pixels pixels, bool log) : pixels_(pixels), base_(pixels.low), log_(log) {}
  void add_between(double low, double high);  // more marks on a logarithmic axis of about a decade
  double place(double value) const;           // linear in the value or its logarithm

  Pixels pixels_;
  double low_ = 0, high_ = 1;  // the domain, logarithms where log_
  double base_;                // pixels of low_
  bool log_, has_zero_ = false;
  std::vector<Tick> ticks_;
};

}  // namespace quamba2::report
