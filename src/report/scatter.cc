// SPDX-License-Identifier: Apache-2.0
#include "report/scatter.h"

#include <algorithm>
#include <cmath>

#include "report/plot.h"

namespace quamba2::report {
namespace {

constexpr double kWidth = 720, kHeight = 380, kLabelSize = 12, kRadius = 5;
constexpr size_t kMaxLabels = 60;  // more than fit; the rest have tooltips

struct Box {
  double left, top, right, bottom;
  bool meets(const Box& b) const { return left < b.right && b.left < right && top < b.bottom && b.top < bottom; }
};

bool drawn(const ScatterPoint& p) { return std::isfinite(p.x) && std::isfinite(p.y); }

// Where the label of a point at (x, y) may stand, the best place first.
struct Place {
  double dx, dy;
  Svg::Anchor anchor;
};
constexpr Place kPlaces[] = {
    {9, 4, Svg::Anchor::kStart},   {-9, 4, Svg::Anchor::kEnd},     {0, -10, Svg::Anchor::kMiddle},
    {0, 19, Svg::Anchor::kMiddle}, {8, -8, Svg::Anchor::kStart},   {8, 16, Svg::Anchor::kStart},
    {-8, -8, Svg::Anchor::kEnd},   {-8, 16, Svg::Anchor::kEnd},    {0, -24, Svg::Anchor::kMiddle},
    {0, 33, Svg::Anchor::kMiddle}, {16, -22, Svg::Anchor::kStart}, {16, 30, Svg::Anchor::kStart}};

Box box_of(const Place& place, double x, double y, double width) {
  const double shift = place.anchor == Svg::Anchor::kStart ? 0 : place.anchor == Svg::Anchor::kEnd ? width : width / 2;
  const double left = x + place.dx - shift, base = y + place.dy;
  return {left, base - 11, left + width, base + 3};
}

void draw_labels(Svg* svg, const Frame& f, const std::vector<ScatterPoint>& points, const Scale& across,
                 const Scale& upwards) {
  std::vector<Box> taken;
  for (const ScatterPoint& p : points) {
    if (!drawn(p)) continue;
    const double x = across.at(p.x), y = upwards.at(p.y);
    taken.push_back({x - kRadius - 1, y - kRadius - 1, x + kRadius + 1, y + kRadius + 1});
  }
  size_t labels = 0;
  for (const ScatterPoint& p : points) {
    if (!drawn(p) || p.label.empty() || ++labels > kMaxLabels) continue;
    const std::string text = shortened(p.label, 32);
    const double x = across.at(p.x), y = upwards.at(p.y), width = text_width(text, kLabelSize);
    for (const Place& place : kPlaces) {
      const Box box = box_of(place, x, y, width);
      const bool inside = box.left >= f.left && box.right <= kWidth && box.top >= 0 && box.bottom <= f.bottom;
      if (!inside || std::any_of(taken.begin(), taken.end(), [&](const Box& b) { return b.meets(box); })) continue;
      svg->text(x + place.dx, y + place.dy, place.anchor, "label halo", text);
      taken.push_back(box);
      break;
    }
  }
}

// The best quality that a cost buys is constant up to the next point of the front.
std::string step_line(const std::vector<ScatterPoint>& points, bool more_is_better, const Scale& across,
                      const Scale& upwards) {
  std::string d;
  double last_x = 0, last_y = 0;
  for (const size_t i : front_of(points, more_is_better)) {
    const double x = across.at(points[i].x), y = upwards.at(points[i].y);
    if (d.empty()) {
      d = path_step('M', x, y);
    } else {
      d += more_is_better ? path_step('L', last_x, y) : path_step('L', x, last_y);
      d += path_step('L', x, y);
    }
    last_x = x, last_y = y;
  }
  return d;
}

// A limit far from all points would push them together: then the text alone tells it.
bool near(double limit, const std::vector<double>& xs) {
  if (!std::isfinite(limit) || xs.empty()) return false;
  const auto [low, high] = std::minmax_element(xs.begin(), xs.end());
  return limit >= *low - (*high - *low) && limit <= *high + (*high - *low);
}

}  // namespace

std::vector<size_t> front_of(const std::vector<ScatterPoint>& points, bool more_is_better) {
  std::vector<size_t> order;
  for (size_t i = 0; i < points.size(); ++i) {
    if (drawn(points[i])) order.push_back(i);
  }
  // From the cheapest on; among equal costs the best quality first.
  std::stable_sort(order.begin(), order.end(), [&](size_t l, size_t r) {
    if (points[l].x != points[r].x) return more_is_better ? points[l].x > points[r].x : points[l].x < points[r].x;
    return points[l].y < points[r].y;
  });
  std::vector<size_t> front;
  for (const size_t i : order) {
    if (front.empty() || points[i].y < points[front.back()].y) front.push_back(i);
  }
  if (more_is_better) std::reverse(front.begin(), front.end());
  return front;
}

std::string scatter(const ScatterChart& chart) {
  std::vector<double> xs, ys;
  for (const ScatterPoint& p : chart.points) {
    if (drawn(p)) xs.push_back(p.x), ys.push_back(p.y);
  }
  if (xs.empty()) return "";
  const bool limited = near(chart.limit, xs);
  if (limited) xs.push_back(chart.limit);
  const Frame frame{66, 34, kWidth - 40, kHeight - 48};
  const Scale across = Scale::linear(xs, frame.across(), false, 7);
  const Scale upwards = Scale::logarithmic(ys, frame.upwards());
  Svg svg(kWidth, kHeight, chart.name);
  draw_y_axis(&svg, frame, upwards, chart.y_title);
  draw_x_axis(&svg, frame, across, chart.x_title);
  if (limited) {
    const double x = across.at(chart.limit);
    svg.line(x, frame.top, x, frame.bottom, "limit");
    svg.text(x + 5, frame.bottom - 6, Svg::Anchor::kStart, "tick halo", "limit");
  }
  svg.path(step_line(chart.points, chart.more_is_better, across, upwards), "front");
  for (const ScatterPoint& p : chart.points) {
    if (!drawn(p)) continue;
    const double x = across.at(p.x), y = upwards.at(p.y);
    if (p.ringed) svg.mark(0, x, y, kRadius + 4, "ring");
    svg.mark(p.series, x, y, kRadius, "fill rim " + series_class(p.series), p.tooltip);
  }
  draw_labels(&svg, frame, chart.points, across, upwards);
  return std::move(svg).finish();
}

}  // namespace quamba2::report
