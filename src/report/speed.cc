// SPDX-License-Identifier: Apache-2.0
// Every row of the benchmarks.
#include <cmath>
#include <set>

#include "report/html.h"
#include "report/sections.h"

namespace quamba2::report {

std::string speed_section(const Documents& documents) {
  if (documents.bench.empty()) return "";
  std::set<std::string> machines;
  for (const BenchRow& row : documents.bench) machines.insert(row.machine);
  HtmlTable table;
  table.column("model", false).column("recipe", false).column("test", false).column("threads").column("batch");
  table.column("tokens/s").column("of ceiling").column("ceiling, tokens/s").column("ceiling", false);
  if (machines.size() > 1) table.column("machine", false);
  for (const BenchRow& row : documents.bench) {
    const bool held = std::isfinite(row.tokens_per_second) && row.ceiling > 0;
    std::vector<std::string> cells = {
        model_name(row.model),
        row.recipe,
        row.test,
        fixed(row.threads, 0),
        fixed(row.batch, 0),
        plus_minus(row.tokens_per_second, row.deviation, 2),
        held ? fixed(100 * row.tokens_per_second / row.ceiling, 0) + " %" : fixed(kUnknown, 0),
        held ? number(row.ceiling) : number(kUnknown),
        row.ceiling_text};
    if (machines.size() > 1) cells.push_back(row.machine);
    table.row(cells);
  }
  std::string lead = "pp: reading a prompt; tg: generating. Mean ± standard deviation of the repetitions.";
  if (machines.size() == 1 && !machines.begin()->empty()) lead += " Machine: " + *machines.begin() + ".";
  return section("speed", "Speed", lead, details("Every test", table.html(), documents.bench.size() <= 12));
}

}  // namespace quamba2::report
