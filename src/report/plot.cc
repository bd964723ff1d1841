// SPDX-License-Identifier: Apache-2.0
#include "report/plot.h"

#include <fmt/format.h>

#include <algorithm>

namespace quamba2::report {

using Anchor = Svg::Anchor;

void draw_x_axis(Svg* svg, const Frame& f, const Scale& scale, std::string_view title) {
  for (const Tick& tick : scale.ticks()) {
    svg->line(tick.at, f.top, tick.at, f.bottom, tick.text.empty() ? "grid minor" : "grid");
    if (!tick.text.empty()) svg->text(tick.at, f.bottom + 17, Anchor::kMiddle, "tick", tick.text);
  }
  svg->line(f.left, f.bottom, f.right, f.bottom, "axis");
  if (!title.empty()) svg->text((f.left + f.right) / 2, f.bottom + 36, Anchor::kMiddle, "title", title);
}

void draw_y_axis(Svg* svg, const Frame& f, const Scale& scale, std::string_view title) {
  for (const Tick& tick : scale.ticks()) {
    svg->line(f.left, tick.at, f.right, tick.at, tick.text.empty() ? "grid minor" : "grid");
    if (!tick.text.empty()) svg->text(f.left - 8, tick.at + 4, Anchor::kEnd, "tick", tick.text);
  }
  // Zero is at no finite distance on a logarithmic axis: the axis is broken before it.
  svg->line(f.left, f.top, f.left, scale.break_at(), "axis");
  if (scale.has_zero()) svg->line(f.left, scale.break_at(), f.left, f.bottom, "axis broken");
  if (!title.empty()) svg->text(4, f.top - 14, Anchor::kStart, "title", title);
}

double layer_at(const Frame& f, int layers, int layer) {
  return f.left + (layer + 0.5) / std::max(1, layers) * (f.right - f.left);
}

void draw_layer_axis(Svg* svg, const Frame& f, int layers) {
  static constexpr int kSteps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};
  // A number of up to four digits and a blank on either side.
  const double slot = (f.right - f.left) / std::max(1, layers), wanted = layers <= 100 ? 22 : layers <= 1000 ? 30 : 38;
  int step = kSteps[0];
  for (const int s : kSteps) {
    step = s;
    if (s * slot >= wanted) break;
  }
  for (int layer = 0; layer < layers; layer += step) {
    const double x = layer_at(f, layers, layer);
    svg->line(x, f.bottom, x, f.bottom + 4, "axis");
    svg->text(x, f.bottom + 17, Anchor::kMiddle, "tick", fmt::format("{}", layer));
  }
  svg->line(f.left, f.bottom, f.right, f.bottom, "axis");
  svg->text((f.left + f.right) / 2, f.bottom + 35, Anchor::kMiddle, "title", "layer");
}

}  // namespace quamba2::report
