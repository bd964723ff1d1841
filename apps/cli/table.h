// SPDX-License-Identifier: Apache-2.0
// Tables in columns: aligned for people, markdown for documents, CSV for machines.
#pragma once

#include <string>
#include <vector>

namespace quamba2::cli {

enum class Align { kLeft, kRight };

class Table {
 public:
  void column(std::string title, Align align = Align::kLeft);
  void row(std::vector<std::string> cells);

  std::string aligned(bool colour) const;  // two blanks between columns; titles bold where `colour`
  std::string markdown() const;
  std::string csv() const;  // RFC 4180

 private:
  std::vector<size_t> widths() const;

  std::vector<std::string> titles_;
  std::vector<Align> aligns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace quamba2::cli
