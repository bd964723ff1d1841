// SPDX-License-Identifier: Apache-2.0
// All figures of the comparisons and every line of the quantizations, as tables that are folded away.
#include <cmath>

#include "report/html.h"
#include "report/sections.h"

namespace quamba2::report {
namespace {

std::string comparison_table(const Comparison& c) {
  HtmlTable table;
  table.column("model", false).column("recipe", false).column("size").column("of BF16").column("perplexity");
  table.column("bits/byte").column("NLL").column("change").column("mean KL").column("KL 99 %").column("KL max");
  table.column("same top token").column("predictions").column("time");
  const auto add = [&](const ComparedModel& m, bool reference) {
    table.row({m.model, m.recipe, bytes_text(m.weight_bytes), fixed(m.of_bf16, 3),
               plus_minus(m.perplexity, m.standard_error, 4), fixed(m.bits_per_byte, 4), fixed(m.nll, 4),
               change_text(m.ppl_increase_percent), plus_minus(m.mean_kl, m.kl_standard_error, 5), number(m.kl_p99),
               number(m.kl_max), percent_text(m.same_top_token), fixed(m.predicted, 0), seconds_text(m.seconds)},
              reference ? "reference" : "");
  };
  add(c.a, true);
  for (const ComparedModel& m : c.others) add(m, false);
  return details("Comparison with " + model_name(c.a.model) + (c.text.empty() ? "" : " on " + model_name(c.text)),
                 table.html());
}

std::string pass_table(const Quantization& q) {
  HtmlTable table;
  table.column("part", false).column("pass", false).column("seconds").column("relative error").column("detail", false);
  for (const Pass& pass : q.passes) {
    table.row({pass.part, pass.pass, number(pass.seconds),
               std::isfinite(pass.relative_error) ? number(100 * pass.relative_error) + " %" : "", pass.detail});
  }
  return details("Every pass of " + result_name(q), table.html());
}

}  // namespace

std::string raw_tables_section(const Documents& documents) {
  std::string html;
  for (const Comparison& c : documents.comparisons) html += comparison_table(c);
  for (const Quantization& q : documents.quantizations) {
    if (!q.passes.empty()) html += pass_table(q);
  }
  return section("figures", "All figures", "", html);
}

}  // namespace quamba2::report
