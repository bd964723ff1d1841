// SPDX-License-Identifier: Apache-2.0
// The search for what to quantize each layer with: choices as strips of colour, and what was found as plots.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "report/html.h"
#include "report/names.h"
#include "report/plot.h"
#include "report/scatter.h"
#include "report/sections.h"

namespace quamba2::report {
namespace {

constexpr size_t kMaxStrips = 40;  // more are in the table only

// "w4a8 × 3, w4a16 × 21": the choices along the layers, runs counted.
std::string runs_text(const std::vector<std::string>& layers) {
  std::string out;
  for (size_t begin = 0, end; begin < layers.size(); begin = end) {
    for (end = begin; end < layers.size() && layers[end] == layers[begin];) ++end;
    out += (out.empty() ? "" : ", ") + layers[begin] + (end - begin > 1 ? fmt::format(" × {}", end - begin) : "");
  }
  return out;
}

std::string figures_of(const Point& p) {
  std::string out = "mean KL " + number(p.mean_kl) + ", " + bytes_text(p.weight_bytes);
  if (std::isfinite(p.prefill_tokens_per_second))
    out += "\nprefill " + number(p.prefill_tokens_per_second) + " tokens/s";
  if (std::isfinite(p.decode_tokens_per_second)) out += "\ndecode " + number(p.decode_tokens_per_second) + " tokens/s";
  return out;
}

void draw_strip(Svg* svg, const Frame& f, double y, double height, const Point& p, size_t slots, Names* choices) {
  const auto x = [&](size_t layer) {
    return f.left + static_cast<double>(layer) / static_cast<double>(slots) * (f.right - f.left);
  };
  for (size_t begin = 0, end; begin < p.layers.size(); begin = end) {
    for (end = begin; end < p.layers.size() && p.layers[end] == p.layers[begin];) ++end;
    const std::string where =
        end - begin == 1 ? fmt::format("layer {}", begin) : fmt::format("layers {} to {}", begin, end - 1);
    svg->rect(x(begin), y, x(end) - x(begin), height, "piece " + series_class(choices->index(p.layers[begin])),
              where + ": " + p.layers[begin]);
  }
}

struct Strip {
  const Point* point;
  std::string name;
  bool best;
};

std::vector<Strip> strips_of(const Search& s) {
  std::vector<Strip> out = {{&s.best, s.best.name.empty() ? "best" : "best: " + s.best.name, true}};
  std::vector<const Point*> front;
  for (const Point& p : s.front) front.push_back(&p);
  std::stable_sort(front.begin(), front.end(),
                   [](const Point* l, const Point* r) { return l->weight_bytes < r->weight_bytes; });
  for (const Point* p : front) out.push_back({p, p->name.empty() ? bytes_text(p->weight_bytes) : p->name, false});
  std::erase_if(out, [](const Strip& strip) { return strip.point->layers.empty(); });
  if (out.size() > kMaxStrips) out.resize(kMaxStrips);
  return out;
}

std::string strips(const Search& s, Names* choices) {
  const std::vector<Strip> all = strips_of(s);
  if (all.empty()) return "";
  constexpr double kRow = 22;
  size_t slots = 1;
  double left = 60;
  for (const Strip& strip : all) {
    slots = std::max(slots, strip.point->layers.size());
    left = std::max(left, 16 + text_width(shortened(strip.name, 30), 12));
  }
  const Frame frame{left, 24, 580, 24 + kRow * static_cast<double>(all.size()) + (all[0].best ? 8 : 0)};
  Svg svg(720, frame.bottom + 46, "What each layer is quantized with");
  svg.text(frame.right + 66, 14, Svg::Anchor::kEnd, "title", "mean KL");
  svg.text(frame.right + 138, 14, Svg::Anchor::kEnd, "title", "size");
  double y = frame.top;
  for (const Strip& strip : all) {
    const char* style = strip.best ? "label strong" : "label";
    svg.text(frame.left - 8, y + 15, Svg::Anchor::kEnd, style, shortened(strip.name, 30),
             strip.name + "\n" + figures_of(*strip.point));
    draw_strip(&svg, frame, y + 2, kRow - 4, *strip.point, slots, choices);
    svg.text(frame.right + 66, y + 15, Svg::Anchor::kEnd, style, number(strip.point->mean_kl));
    svg.text(frame.right + 138, y + 15, Svg::Anchor::kEnd, style, bytes_text(strip.point->weight_bytes));
    y += kRow + (strip.best ? 8 : 0);
  }
  draw_layer_axis(&svg, frame, static_cast<int>(slots));
  return picture(std::move(svg).finish());
}

ScatterChart front_chart(const Search& s, double Point::* cost, double unit) {
  ScatterChart chart;
  const auto add = [&](const Point& p, const std::string& name, size_t series, bool labelled, bool ringed) {
    chart.points.push_back(
        {p.*cost / unit, p.mean_kl, labelled ? name : "",
         (name.empty() ? "" : name + "\n") + figures_of(p) + "\n" + shortened(runs_text(p.layers), 200), series,
         ringed});
  };
  // What comes later is drawn over what is there.
  for (const Point& p : s.front) add(p, p.name, 0, false, false);
  for (const Point& p : s.uniform) add(p, p.name, 1, true, false);
  add(s.best, s.best.name.empty() ? "best" : s.best.name, 0, true, true);
  return chart;
}

std::string plots(const Search& s) {
  struct Axis {
    const char *budget, *name;
    double Point::* cost;
    bool more_is_better;
  };
  static constexpr Axis kAxes[] = {{"size", "size of the weights", &Point::weight_bytes, false},
                                   {"decode", "decode, tokens/s", &Point::decode_tokens_per_second, true},
                                   {"prefill", "prefill, tokens/s", &Point::prefill_tokens_per_second, true}};
  std::string html;
  for (const Axis& axis : kAxes) {
    const bool bytes = axis.cost == &Point::weight_bytes;
    const Unit unit = bytes ? byte_unit(s.best.weight_bytes) : Unit{1, ""};
    ScatterChart chart = front_chart(s, axis.cost, unit.size);
    chart.name = std::string("Mean KL divergence against ") + axis.name;
    chart.x_title = axis.name + (bytes ? std::string(", ") + unit.name : "");
    chart.y_title = "mean KL divergence, nats (log scale)";
    chart.more_is_better = axis.more_is_better;
    if (s.budget == axis.budget) chart.limit = s.limit / unit.size;
    const std::string svg = scatter(chart);
    if (!svg.empty()) html += heading("The front: mean KL against " + std::string(axis.name)) + picture(svg);
  }
  if (html.empty()) return "";
  return legend({{"found by the search (ringed: the best within the limit)", 0}, {"the same in every layer", 1}}) +
         html;
}

std::string table(const Search& s) {
  HtmlTable out;
  out.column("", false).column("name", false).column("mean KL").column("size").column("prefill, tokens/s");
  out.column("decode, tokens/s").column("layers", false);
  const auto add = [&](const char* what, const Point& p) {
    out.row({what, p.name, number(p.mean_kl), bytes_text(p.weight_bytes), number(p.prefill_tokens_per_second),
             number(p.decode_tokens_per_second), runs_text(p.layers)},
            std::string_view(what) == "best" ? "reference" : "");
  };
  add("best", s.best);
  for (const Point& p : s.uniform) add("uniform", p);
  for (const Point& p : s.front) add("front", p);
  return details("All points of the search, as a table", out.html());
}

std::string about(const Search& s) {
  std::string out = "Budget: " + s.budget;
  if (std::isfinite(s.limit)) {
    out += s.budget == "size" ? ", at most " + bytes_text(s.limit) : ", at least " + number(s.limit) + " tokens/s";
  }
  if (std::isfinite(s.evaluated)) out += "; " + fixed(s.evaluated, 0) + " models measured";
  if (!s.text.empty()) out += "; text: " + model_name(s.text);
  return out + ".";
}

}  // namespace

std::string search_section(const Documents& documents) {
  std::string html;
  for (const Search& s : documents.searches) {
    if (!s.model.empty()) html += heading(model_name(s.model));
    Names choices(s.choices);
    const std::string drawn = strips(s, &choices);  // names choices that the list lacks
    std::vector<LegendEntry> names;
    for (const std::string& choice : choices.list()) names.push_back({choice, names.size()});
    html += paragraph(about(s)) + (drawn.empty() ? "" : area_legend(names) + drawn) + plots(s) + table(s);
  }
  return section("search", "Search: what each layer is quantized with",
                 "A row is a model, a column a layer, a colour what the layer is quantized with.", html);
}

}  // namespace quamba2::report
