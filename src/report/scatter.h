// SPDX-License-Identifier: Apache-2.0
// Quality against cost: labelled points, and a step line through those that no other beats in both.
#pragma once

#include <string>
#include <vector>

#include "report/text.h"

namespace quamba2::report {

struct ScatterPoint {
  double x = kUnknown, y = kUnknown;  // a point that lacks one is left out
  std::string label, tooltip;         // an empty label is none
  size_t series = 0;                  // colour and shape
  bool ringed = false;                // the one that the text is about
};

struct ScatterChart {
  std::string name, x_title, y_title;  // `name` is read aloud
  bool more_is_better = false;         // of x; less of y is always better
  std::vector<ScatterPoint> points;
  double limit = kUnknown;  // of x: a dashed line
};

// Indices of the points that no other beats, by rising x. Of equal points the first.
std::vector<size_t> front_of(const std::vector<ScatterPoint>& points, bool more_is_better);

// SVG; empty where no point has both coordinates. y is logarithmic.
std::string scatter(const ScatterChart& chart);

}  // namespace quamba2::report
