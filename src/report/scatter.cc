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

double radius_of(const ScatterPoint& p) { return p.ringed ? kRadius + 4 : kRadius; }

// A ring moves the places out.
Place moved(Place place, const ScatterPoint& p) {
  const double more = radius_of(p) - kRadius;
  place.dx += place.dx > 0 ? more : place.dx < 0 ? -more : 0;
  if (place.dx == 0) place.dy += place.dy > 0 ? more : -more;
  return place;
}

Box box_of(const Place& place, double x, double y, double width) {
  const double shift = place.anchor == Svg::Anchor::kStart ? 0 : place.anchor == Svg::Anchor::kEnd ? width : width / 2;
  const double left = x + place.dx - shift, base = y + place.dy;
  return {left, base - 11, left + width, base + 3};
}

struct Pixel {
  double x, y;
};

// The best quality that a cost buys is constant up to the next point of the front.
std::vector<Pixel> step_line(const std::vector<ScatterPoint>& points, bool more_is_better, const Scale& across,
                             const Scale& upwards) {
  std::vector<Pixel> out;
  for (const size_t i : front_of(points, more_is_better)) {
    const Pixel next{across.at(points[i].x), upwards.at(points[i].y)};
    if (!out.empty()) out.push_back(more_is_better ? Pixel{out.back().x, next.y} : Pixel{next.x, out.back().y});
    out.push_back(next);
  }
  return out;
}

bool meets_any(const Box& box, const std::vector<Box>& taken) {
  return std::any_of(taken.begin(), taken.end(), [&](const Box& b) { return b.meets(box); });
}

// Labels stand clear of marks and of each other, and of the line where they can.
void draw_labels(Svg* svg, const Frame& f, const std::vector<ScatterPoint>& points, const std::vector<Pixel>& line,
                 const Scale& across, const Scale& upwards) {
  std::vector<Box> taken, lines;
  for (const ScatterPoint& p : points) {
    if (!drawn(p)) continue;
    const double x = across.at(p.x), y = upwards.at(p.y), r = radius_of(p) + 1;
    taken.push_back({x - r, y - r, x + r, y + r});
  }
  for (size_t i = 1; i < line.size(); ++i) {
    const auto [left, right] = std::minmax(line[i - 1].x, line[i].x);
    const auto [top, bottom] = std::minmax(line[i - 1].y, line[i].y);
    lines.push_back({left - 1, top - 1, right + 1, bottom + 1});
  }
  size_t labels = 0;
  for (const ScatterPoint& p : points) {
    if (!drawn(p) || p.label.empty() || ++labels > kMaxLabels) continue;
    const std::string text = shortened(p.label, 32);
    const double x = across.at(p.x), y = upwards.at(p.y), width = text_width(text, kLabelSize);
    const auto fits = [&](const Place& place, bool clear_of_line) {
      const Box box = box_of(place, x, y, width);
      const bool inside = box.left >= f.left && box.right <= kWidth && box.top >= 0 && box.bottom <= f.bottom;
      return inside && !meets_any(box, taken) && !(clear_of_line && meets_any(box, lines));
    };
    bool done = false;
    for (const bool clear_of_line : {true, false}) {
      for (const Place& at : kPlaces) {
        const Place place = moved(at, p);
        if (done || !fits(place, clear_of_line)) continue;
        svg->text(x + place.dx, y + place.dy, place.anchor, "label halo", text);
        taken.push_back(box_of(place, x, y, width));
        done = true;
      }
    }
  }
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
  const std::vector<Pixel> line = step_line(chart.points, chart.more_is_better, across, upwards);
  std::string d;
  for (const Pixel& at : line) d += path_step(d.empty() ? 'M' : 'L', at.x, at.y);
  svg.path(d, "front");
  for (const ScatterPoint& p : chart.points) {
    if (!drawn(p)) continue;
    const double x = across.at(p.x), y = upwards.at(p.y);
    if (p.ringed) svg.mark(0, x, y, radius_of(p), "ring");
    svg.mark(p.series, x, y, kRadius, "fill rim " + series_class(p.series), p.tooltip);
  }
  draw_labels(&svg, frame, chart.points, line, across, upwards);
  return std::move(svg).finish();
}

}  // namespace quamba2::report
