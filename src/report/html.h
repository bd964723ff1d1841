// SPDX-License-Identifier: Apache-2.0
// The pieces of the page that are no picture: tables, sections, legends. All text that goes in is escaped here, but for
// parameters named `html`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2::report {

class HtmlTable {
 public:
  // Numbers stand to the right.
  HtmlTable& column(std::string_view title, bool is_number = true);
  HtmlTable& row(const std::vector<std::string>& cells, std::string_view css_class = {});
  bool empty() const { return rows_.empty(); }
  std::string html() const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string css_class;
  };
  std::vector<std::string> titles_;
  std::vector<bool> numbers_;
  std::vector<Row> rows_;
};

// "" where there is nothing inside: a section is only where documents feed it.
std::string section(std::string_view id, std::string_view title, std::string_view lead, const std::string& html);
std::string heading(std::string_view text);
std::string paragraph(std::string_view text);
// Wide pictures scroll on a narrow screen rather than become too small to read.
std::string picture(const std::string& svg_html);
// Folded away until asked for.
std::string details(std::string_view summary, const std::string& html, bool open = false);
// The mark of every series and its name.
struct LegendEntry {
  std::string name;
  size_t series = 0;
};
std::string legend(const std::vector<LegendEntry>& entries);
// The same for areas, which have a colour only.
std::string area_legend(const std::vector<LegendEntry>& entries);

}  // namespace quamba2::report
