// SPDX-License-Identifier: Apache-2.0
#include "report/html.h"

#include <fmt/format.h>

#include "report/svg.h"
#include "report/text.h"

namespace quamba2::report {
namespace {

constexpr size_t kShortCell = 34;  // bytes; such a cell is kept on one line

template <class Draw>
std::string legend_of(const std::vector<LegendEntry>& entries, const Draw& draw) {
  std::string out = "<ul class=\"legend\">";
  for (const LegendEntry& entry : entries) {
    Svg key(12, 12, entry.name);
    draw(&key, entry.series);
    out += "<li>" + std::move(key).finish() + escape(entry.name) + "</li>";
  }
  return out + "</ul>\n";
}

}  // namespace

HtmlTable& HtmlTable::column(std::string_view title, bool is_number) {
  titles_.emplace_back(title);
  numbers_.push_back(is_number);
  return *this;
}

HtmlTable& HtmlTable::row(const std::vector<std::string>& cells, std::string_view css_class) {
  rows_.push_back({cells, std::string(css_class)});
  return *this;
}

std::string HtmlTable::html() const {
  std::string out = "<div class=\"scroll\"><table>\n<thead><tr>";
  for (size_t i = 0; i < titles_.size(); ++i) {
    out += fmt::format("<th scope=\"col\"{}>{}</th>", numbers_[i] ? " class=\"n\"" : "", escape(titles_[i]));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const Row& row : rows_) {
    out += row.css_class.empty() ? "<tr>" : fmt::format("<tr class=\"{}\">", row.css_class);
    for (size_t i = 0; i < row.cells.size() && i < titles_.size(); ++i) {
      const char* css = numbers_[i] ? " class=\"n\"" : row.cells[i].size() <= kShortCell ? " class=\"w\"" : "";
      out += fmt::format("<td{}>{}</td>", css, escape(row.cells[i]));
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string section(std::string_view id, std::string_view title, std::string_view lead, const std::string& html) {
  if (html.empty()) return "";
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", id, escape(title), paragraph(lead), html);
}

std::string heading(std::string_view text) { return "<h3>" + escape(text) + "</h3>\n"; }

std::string paragraph(std::string_view text) { return text.empty() ? "" : "<p>" + escape(text) + "</p>\n"; }

std::string picture(const std::string& svg_html) { return "<div class=\"scroll picture\">\n" + svg_html + "</div>\n"; }

std::string details(std::string_view summary, const std::string& html, bool open) {
  return fmt::format("<details{}><summary>{}</summary>\n{}</details>\n", open ? " open" : "", escape(summary), html);
}

std::string legend(const std::vector<LegendEntry>& entries) {
  return legend_of(entries,
                   [](Svg* svg, size_t series) { svg->mark(series, 6, 6, 4.5, "fill " + series_class(series)); });
}

std::string area_legend(const std::vector<LegendEntry>& entries) {
  return legend_of(entries, [](Svg* svg, size_t series) { svg->rect(0, 0, 12, 12, "fill " + series_class(series)); });
}

}  // namespace quamba2::report
