// SPDX-License-Identifier: Apache-2.0
// Writes SVG that stands inside the page: colours come from its style sheet by class, so that light and dark are one file.
#pragma once

#include <string>
#include <string_view>

namespace quamba2::report {

// Series 0, 1, ... differ by colour and by the shape of their marks.
std::string series_class(size_t series);  // "s0" ... "s7", again from s0

class Svg {
 public:
  enum class Anchor { kStart, kMiddle, kEnd };

  // `label` is read aloud instead of the picture.
  Svg(double width, double height, std::string_view label);

  // What follows until `close` shares a class and a tooltip.
  void open(std::string_view css_class, std::string_view tooltip = {});
  void close();
  void line(double x1, double y1, double x2, double y2, std::string_view css_class);
  void rect(double x, double y, double width, double height, std::string_view css_class, std::string_view tooltip = {});
  void path(const std::string& commands, std::string_view css_class);
  void text(double x, double y, Anchor anchor, std::string_view css_class, std::string_view text,
            std::string_view tooltip = {});
  // The mark of a series, about `radius` around (x, y).
  void mark(size_t series, double x, double y, double radius, std::string_view css_class,
            std::string_view tooltip = {});
  std::string finish() &&;

 private:
  void end(std::string_view element, std::string_view content, std::string_view tooltip);
  std::string text_;
};

// A coordinate as short as it can be: "12.3", "12".
std::string coordinate(double value);
// "M12 3.5" and the like.
std::string path_step(char command, double x, double y);

}  // namespace quamba2::report
