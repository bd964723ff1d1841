// SPDX-License-Identifier: Apache-2.0
// What the passes that keep the function do to outliers: a plot for each edge, before and after each pass in each layer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "report/html.h"
#include "report/names.h"
#include "report/plot.h"
#include "report/sections.h"

namespace quamba2::report {
namespace {

struct Change {
  int layer;
  size_t pass;
  double before, after;
};
struct Edge {
  std::string name;
  std::vector<Change> changes;
};
struct Outliers {
  Names passes;  // in the order in which they ran
  std::vector<Edge> edges;
  int layers = 0;
};

Outliers collect(const Quantization& q) {
  Outliers out;
  Names edges;
  for (const Pass& pass : q.passes) {
    if (pass.layer < 0 || pass.outliers.empty()) continue;
    const size_t p = out.passes.index(pass.pass);
    for (const Outlier& o : pass.outliers) {
      const size_t e = edges.index(o.edge);
      if (e == out.edges.size()) out.edges.push_back({o.edge, {}});
      if (!std::isfinite(o.before) || !std::isfinite(o.after)) continue;
      out.edges[e].changes.push_back({pass.layer, p, o.before, o.after});
      out.layers = std::max(out.layers, pass.layer + 1);
    }
  }
  std::erase_if(out.edges, [](const Edge& edge) { return edge.changes.empty(); });
  return out;
}

std::string chart(const Outliers& all, const Edge& edge) {
  std::vector<double> values;
  for (const Change& c : edge.changes) values.insert(values.end(), {c.before, c.after});
  const Frame frame{60, 34, 700, 210};
  const Scale y = Scale::logarithmic(values, frame.upwards());
  Svg svg(720, 258, "Outliers of " + edge.name + " before and after each pass");
  draw_y_axis(&svg, frame, y, "largest magnitude / RMS (log scale)");
  draw_layer_axis(&svg, frame, all.layers);
  // The passes of a layer stand side by side in its slot.
  const double slot = (frame.right - frame.left) / all.layers,
               step = 0.8 * slot / static_cast<double>(all.passes.list().size());
  const double radius = std::clamp(step / 2.6, 1.0, 3.8);
  for (const Change& c : edge.changes) {
    const double x = layer_at(frame, all.layers, c.layer) +
                     (static_cast<double>(c.pass) - 0.5 * static_cast<double>(all.passes.list().size() - 1)) * step;
    svg.open(series_class(c.pass), fmt::format("{}, layer {}, {}\n{} → {}", edge.name, c.layer,
                                               all.passes.list()[c.pass], number(c.before), number(c.after)));
    svg.line(x, y.at(c.before), x, y.at(c.after), step < 4 ? "line thin" : "line");
    svg.mark(c.pass, x, y.at(c.before), radius, "hollow");
    svg.mark(c.pass, x, y.at(c.after), radius, "fill");
    svg.close();
  }
  return picture(std::move(svg).finish());
}

std::string table(const Outliers& all) {
  HtmlTable out;
  out.column("edge", false).column("layer").column("pass", false).column("before").column("after");
  for (const Edge& edge : all.edges) {
    for (const Change& c : edge.changes) {
      out.row({edge.name, std::to_string(c.layer), all.passes.list()[c.pass], number(c.before), number(c.after)});
    }
  }
  return details("Outliers, as a table", out.html());
}

}  // namespace

std::string outlier_section(const Documents& documents) {
  std::string html;
  bool first = true;
  for (const Quantization& q : documents.quantizations) {
    const Outliers all = collect(q);
    if (all.edges.empty()) continue;
    std::vector<LegendEntry> names;
    for (const std::string& pass : all.passes.list()) names.push_back({pass, names.size()});
    std::string charts = legend(names);
    for (const Edge& edge : all.edges) charts += heading("Outliers of " + edge.name) + chart(all, edge);
    html += details(result_name(q), charts + table(all), first);
    first = false;
  }
  return section(
      "outliers", "Outliers before and after each pass",
      "How far the largest value of an activation stands out: its magnitude over the root mean square. A hollow "
      "mark is before the pass, a filled one after it; lower is easier to quantize.",
      html);
}

}  // namespace quamba2::report
