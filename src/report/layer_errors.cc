// SPDX-License-Identifier: Apache-2.0
// How much each layer's output moved, a line a quantized model.
#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "report/html.h"
#include "report/plot.h"
#include "report/sections.h"

namespace quamba2::report {
namespace {

struct Series {
  std::string name;
  size_t index;
  std::map<int, double> errors;  // percent
};

std::vector<Series> collect(const Documents& documents, const ModelTable& models) {
  std::vector<Series> out;
  for (const Quantization& q : documents.quantizations) {
    const std::string name = result_name(q);
    Series series{name, models.series.find(name), {}};
    for (const Pass& pass : q.passes) {
      if (pass.layer >= 0 && std::isfinite(pass.relative_error)) series.errors[pass.layer] = 100 * pass.relative_error;
    }
    if (!series.errors.empty()) out.push_back(std::move(series));
  }
  return out;
}

// A range of more than this is read on a logarithmic axis only.
constexpr double kLinearRange = 50;

std::string chart(const std::vector<Series>& all, int layers) {
  std::vector<double> values;
  double low = kUnknown, high = 0;
  for (const Series& series : all) {
    for (const auto& [layer, error] : series.errors) {
      values.push_back(error);
      if (error > 0) low = std::fmin(low, error);
      high = std::max(high, error);
    }
  }
  const bool log = high > kLinearRange * low;
  const Frame frame{60, 34, 700, 270};
  const Scale y = log ? Scale::logarithmic(values, frame.upwards()) : Scale::linear(values, frame.upwards(), true);
  Svg svg(720, 318, "Relative error of every layer");
  draw_y_axis(&svg, frame, y, log ? "relative error, % (log scale)" : "relative error, %");
  draw_layer_axis(&svg, frame, layers);
  const double radius = std::clamp((frame.right - frame.left) / layers / 4, 1.2, 3.6);
  for (const Series& series : all) {
    std::string d;
    int last = -2;
    for (const auto& [layer, error] : series.errors) {  // a gap where a layer has no figure
      d += path_step(layer == last + 1 ? 'L' : 'M', layer_at(frame, layers, layer), y.at(error));
      last = layer;
    }
    svg.path(d, (layers > 200 ? "line thin " : "line ") + series_class(series.index));
  }
  for (const Series& series : all) {
    for (const auto& [layer, error] : series.errors) {
      svg.mark(series.index, layer_at(frame, layers, layer), y.at(error), radius, "fill " + series_class(series.index),
               series.name + "\nlayer " + std::to_string(layer) + ": " + number(error) + " %");
    }
  }
  return picture(std::move(svg).finish());
}

std::string table(const std::vector<Series>& all, int layers) {
  HtmlTable out;
  out.column("layer");
  for (const Series& series : all) out.column(series.name + ", %");
  for (int layer = 0; layer < layers; ++layer) {
    std::vector<std::string> cells = {std::to_string(layer)};
    bool known = false;
    for (const Series& series : all) {
      const auto at = series.errors.find(layer);
      known |= at != series.errors.end();
      cells.push_back(number(at == series.errors.end() ? kUnknown : at->second));
    }
    if (known) out.row(cells);
  }
  return details("Relative error of every layer, as a table", out.html());
}

}  // namespace

std::string layer_error_section(const Documents& documents, const ModelTable& models) {
  const std::vector<Series> all = collect(documents, models);
  if (all.empty()) return "";
  int layers = 0;
  std::vector<LegendEntry> names;
  for (const Series& series : all) {
    layers = std::max(layers, series.errors.rbegin()->first + 1);
    names.push_back({series.name, series.index});
  }
  return section("layers", "Error of each layer",
                 "Relative error of what a quantized layer adds to the residual stream, on the calibration text.",
                 legend(names) + chart(all, layers) + table(all, layers));
}

}  // namespace quamba2::report
