// SPDX-License-Identifier: Apache-2.0
// The frame of a plot: axes with their marks and titles.
#pragma once

#include <string_view>

#include "report/scale.h"
#include "report/svg.h"

namespace quamba2::report {

// Of the area that holds the data, in pixels.
struct Frame {
  double left = 0, top = 0, right = 0, bottom = 0;
  Scale::Pixels across() const { return {left, right}; }
  Scale::Pixels upwards() const { return {bottom, top}; }
};

// Grid lines, marks below the frame and the title below them.
void draw_x_axis(Svg* svg, const Frame& frame, const Scale& scale, std::string_view title);
// Grid lines, marks to the left; the title stands above the frame, where it can be read without turning the head.
void draw_y_axis(Svg* svg, const Frame& frame, const Scale& scale, std::string_view title);
// Marks of layers 0 .. layers - 1, each in a slot of its own.
void draw_layer_axis(Svg* svg, const Frame& frame, int layers);
// The middle of a layer's slot.
double layer_at(const Frame& frame, int layers, int layer);

}  // namespace quamba2::report
