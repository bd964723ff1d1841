// SPDX-License-Identifier: Apache-2.0
#include "report/svg.h"

#include <fmt/format.h>

#include "report/text.h"

namespace quamba2::report {

std::string series_class(size_t series) { return fmt::format("s{}", series % 8); }

std::string coordinate(double value) {
  std::string out = fmt::format("{:.1f}", value);
  if (out.size() > 2 && out.compare(out.size() - 2, 2, ".0") == 0) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

std::string path_step(char command, double x, double y) {
  return fmt::format("{}{} {}", command, coordinate(x), coordinate(y));
}

Svg::Svg(double width, double height, std::string_view label) {
  const std::string w = coordinate(width), h = coordinate(height);
  text_ = fmt::format("<svg viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"{}\">\n", w, h,
                      w, h, escape(label));
}

void Svg::open(std::string_view css_class, std::string_view tooltip) {
  text_ += fmt::format("<g class=\"{}\">", css_class);
  if (!tooltip.empty()) text_ += "<title>" + escape(tooltip) + "</title>";
}

void Svg::close() { text_ += "</g>\n"; }

void Svg::end(std::string_view element, std::string_view content, std::string_view tooltip) {
  if (content.empty() && tooltip.empty()) {
    text_ += "/>\n";
    return;
  }
  text_ += ">";
  if (!tooltip.empty()) text_ += "<title>" + escape(tooltip) + "</title>";
  text_ += escape(content);
  text_ += fmt::format("</{}>\n", element);
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  text_ += fmt::format("<path class=\"{}\" d=\"{}{}\"", css_class, path_step('M', x1, y1), path_step('L', x2, y2));
  end("path", {}, {});
}

void Svg::rect(double x, double y, double width, double height, std::string_view css_class, std::string_view tooltip) {
  text_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\"", css_class, coordinate(x),
                       coordinate(y), width, coordinate(height));
  end("rect", {}, tooltip);
}

void Svg::path(const std::string& commands, std::string_view css_class) {
  text_ += fmt::format("<path class=\"{}\" d=\"{}\"", css_class, commands);
  end("path", {}, {});
}

void Svg::text(double x, double y, Anchor anchor, std::string_view css_class, std::string_view text,
               std::string_view tooltip) {
  static constexpr const char* kAnchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
  text_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\"{}", css_class, coordinate(x), coordinate(y),
                       kAnchors[static_cast<int>(anchor)]);
  end("text", text, tooltip);
}

void Svg::mark(size_t series, double x, double y, double radius, std::string_view css_class, std::string_view tooltip) {
  // The second round of colours begins with another shape. Sizes are such that the areas look alike.
  const size_t shape = (series + series / 8) % 4;
  const double r = radius;
  if (shape == 0) {
    text_ += fmt::format("<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"", css_class, coordinate(x), coordinate(y),
                         coordinate(r));
    return end("circle", {}, tooltip);
  }
  std::string d;
  const auto to = [&](double dx, double dy) { d += path_step(d.empty() ? 'M' : 'L', x + dx * r, y + dy * r); };
  if (shape == 1) to(-0.9, -0.9), to(0.9, -0.9), to(0.9, 0.9), to(-0.9, 0.9);
  if (shape == 2) to(0, -1.3), to(1.3, 0), to(0, 1.3), to(-1.3, 0);
  if (shape == 3) to(0, -1.25), to(1.2, 0.9), to(-1.2, 0.9);
  text_ += fmt::format("<path class=\"{}\" d=\"{}Z\"", css_class, d);
  end("path", {}, tooltip);
}

std::string Svg::finish() && { return std::move(text_) + "</svg>\n"; }

}  // namespace quamba2::report
