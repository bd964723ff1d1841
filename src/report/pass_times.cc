// SPDX-License-Identifier: Apache-2.0
// Where the time of a quantization went: a bar a model, a piece a pass.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "report/html.h"
#include "report/plot.h"
#include "report/sections.h"

namespace quamba2::report {
namespace {

constexpr size_t kMaxPieces = 8;  // as many as there are colours; the quicker passes share the last

struct Times {
  std::string name;
  std::map<std::string, double> seconds;  // of each pass, over all parts
  double total = 0;
};

std::vector<Times> collect(const Documents& documents, std::vector<std::string>* passes) {
  std::vector<Times> out;
  std::map<std::string, double> all;
  for (const Quantization& q : documents.quantizations) {
    Times times{result_name(q), {}, 0};
    for (const Pass& pass : q.passes) {
      if (!std::isfinite(pass.seconds)) continue;
      if (!all.count(pass.pass)) passes->push_back(pass.pass);
      times.seconds[pass.pass] += pass.seconds;
      all[pass.pass] += pass.seconds;
      times.total += pass.seconds;
    }
    if (times.total > 0) out.push_back(std::move(times));
  }
  std::stable_sort(passes->begin(), passes->end(),
                   [&](const std::string& l, const std::string& r) { return all[l] > all[r]; });
  return out;
}

std::string chart(const std::vector<Times>& all, const std::vector<std::string>& passes) {
  constexpr double kRow = 34;
  std::vector<double> totals;
  double left = 80;
  for (const Times& times : all) {
    totals.push_back(times.total);
    left = std::max(left, 16 + text_width(shortened(times.name, 28), 12));
  }
  const bool minutes = *std::max_element(totals.begin(), totals.end()) >= 300;
  const double unit = minutes ? 60 : 1;
  for (double& total : totals) total /= unit;
  const Frame frame{left, 10, 650, 10 + kRow * static_cast<double>(all.size())};
  const Scale x = Scale::linear(totals, frame.across(), true, 7);
  Svg svg(720, frame.bottom + 48, "Time of each pass");
  draw_x_axis(&svg, frame, x, minutes ? "minutes" : "seconds");
  for (size_t i = 0; i < all.size(); ++i) {
    const Times& times = all[i];
    const double y = frame.top + kRow * static_cast<double>(i) + 6, middle = y + kRow / 2 - 2;
    svg.text(frame.left - 8, middle, Svg::Anchor::kEnd, "label", shortened(times.name, 28), times.name);
    double begin = 0;
    for (size_t p = 0; p < passes.size(); ++p) {
      const auto at = times.seconds.find(passes[p]);
      if (at == times.seconds.end() || at->second <= 0) continue;
      const double end = begin + at->second / unit, from = x.at(begin), to = x.at(end);
      svg.rect(from, y, to - from, kRow - 12, "piece " + series_class(std::min(p, kMaxPieces - 1)),
               times.name + "\n" + passes[p] + ": " + seconds_text(at->second) + ", " +
                   percent_text(at->second / times.total));
      begin = end;
    }
    svg.text(x.at(begin) + 6, middle, Svg::Anchor::kStart, "label", seconds_text(times.total));
  }
  return picture(std::move(svg).finish());
}

std::string table(const std::vector<Times>& all, const std::vector<std::string>& passes) {
  HtmlTable out;
  out.column("pass", false);
  for (const Times& times : all) out.column(times.name + ", s");
  const auto add = [&](const std::string& name, auto&& seconds_of, std::string_view css_class) {
    std::vector<std::string> cells = {name};
    for (const Times& times : all) cells.push_back(number(seconds_of(times)));
    out.row(cells, css_class);
  };
  for (const std::string& pass : passes) {
    add(
        pass,
        [&](const Times& times) {
          const auto at = times.seconds.find(pass);
          return at == times.seconds.end() ? kUnknown : at->second;
        },
        "");
  }
  add("all", [](const Times& times) { return times.total; }, "reference");
  return details("Seconds of each pass, as a table", out.html());
}

}  // namespace

std::string pass_time_section(const Documents& documents) {
  std::vector<std::string> passes;
  const std::vector<Times> all = collect(documents, &passes);
  if (all.empty()) return "";
  std::vector<LegendEntry> names;
  for (size_t i = 0; i < passes.size() && i < kMaxPieces; ++i) names.push_back({passes[i], i});
  if (passes.size() > kMaxPieces) names.back().name = "quicker passes";
  return section("times", "Time of each pass", "Summed over all layers and the head.",
                 area_legend(names) + chart(all, passes) + table(all, passes));
}

}  // namespace quamba2::report
