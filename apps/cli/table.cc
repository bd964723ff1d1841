// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <algorithm>
#include <utility>

#include "terminal.h"

namespace quamba2::cli {
namespace {

std::string padded(const std::string& text, size_t width, Align align) {
  const size_t have = display_width(text);
  const std::string blanks(width > have ? width - have : 0, ' ');
  return align == Align::kLeft ? text + blanks : blanks + text;
}

std::string without_trailing_blanks(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace

void Table::column(std::string title, Align align) {
  titles_.push_back(std::move(title));
  aligns_.push_back(align);
}

void Table::row(std::vector<std::string> cells) {
  cells.resize(titles_.size());
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::widths() const {
  std::vector<size_t> widths;
  for (const std::string& title : titles_) widths.push_back(display_width(title));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  return widths;
}

std::string Table::aligned(bool colour) const {
  const std::vector<size_t> width = widths();
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string out;
    for (size_t i = 0; i < cells.size(); ++i) out += (i ? "  " : "") + padded(cells[i], width[i], aligns_[i]);
    return without_trailing_blanks(out);
  };
  std::string out = styled(colour, Style::kBold, line(titles_)) + "\n";
  for (const auto& row : rows_) out += line(row) + "\n";
  return out;
}

std::string Table::markdown() const {
  const std::vector<size_t> width = widths();
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string out = "|";
    for (size_t i = 0; i < cells.size(); ++i) out += " " + padded(cells[i], width[i], aligns_[i]) + " |";
    return out + "\n";
  };
  std::string out = line(titles_) + "|";
  for (size_t i = 0; i < titles_.size(); ++i) {
    const bool right = aligns_[i] == Align::kRight;
    out += " " + std::string(std::max<size_t>(width[i], 2) - right, '-') + (right ? ": |" : " |");
  }
  out += "\n";
  for (const auto& row : rows_) out += line(row);
  return out;
}

std::string Table::csv() const {
  const auto line = [](const std::vector<std::string>& cells) {
    std::string out;
    for (size_t i = 0; i < cells.size(); ++i) out += (i ? "," : "") + csv_cell(cells[i]);
    return out + "\n";
  };
  std::string out = line(titles_);
  for (const auto& row : rows_) out += line(row);
  return out;
}

}  // namespace quamba2::cli
