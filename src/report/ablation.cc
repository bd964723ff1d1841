// SPDX-License-Identifier: Apache-2.0
// What each step of a recipe is worth: bars of the divergence, row by row, and the table.
#include <algorithm>
#include <cmath>
#include <vector>

#include "report/html.h"
#include "report/plot.h"
#include "report/sections.h"

namespace quamba2::report {
namespace {

std::string chart(const Ablation& a) {
  constexpr double kRow = 26;
  std::vector<double> values;
  double left = 80;
  for (const AblationRow& row : a.rows) {
    if (!std::isfinite(row.mean_kl)) continue;
    values.push_back(row.mean_kl);
    left = std::max(left, 16 + text_width(shortened(row.name, 34), 12));
  }
  if (values.empty()) return "";
  const Frame frame{left, 10, 640, 10 + kRow * static_cast<double>(values.size())};
  const Scale x = Scale::linear(values, frame.across(), true, 6);
  Svg svg(720, frame.bottom + 48, "Mean KL divergence of every row of the ablation");
  draw_x_axis(&svg, frame, x, "mean KL divergence, nats");
  double y = frame.top;
  for (const AblationRow& row : a.rows) {
    if (!std::isfinite(row.mean_kl)) continue;
    const double from = std::min(x.at(0), x.at(row.mean_kl)), to = std::max(x.at(0), x.at(row.mean_kl));
    svg.text(frame.left - 8, y + 17, Svg::Anchor::kEnd, "label", shortened(row.name, 34), row.name);
    svg.rect(from, y + 4, to - from, kRow - 8, "piece s0",
             row.name + "\nmean KL " + number(row.mean_kl) + ", perplexity " + fixed(row.perplexity, 2) + " (" +
                 change_text(row.ppl_increase_percent) + "), " + bytes_text(row.weight_bytes));
    svg.text(to + 6, y + 17, Svg::Anchor::kStart, "label", number(row.mean_kl));
    y += kRow;
  }
  return picture(std::move(svg).finish());
}

std::string table(const Ablation& a) {
  HtmlTable out;
  out.column("row", false).column("size").column("of BF16").column("perplexity").column("change").column("mean KL");
  out.column("same top token").column("layer error").column("time");
  for (const AblationRow& row : a.rows) {
    out.row({row.name, bytes_text(row.weight_bytes), fixed(row.of_bf16, 3), fixed(row.perplexity, 2),
             change_text(row.ppl_increase_percent), number(row.mean_kl), percent_text(row.same_top_token),
             std::isfinite(row.layer_error) ? number(100 * row.layer_error) + " %" : number(kUnknown),
             seconds_text(row.seconds)});
  }
  return out.html();
}

}  // namespace

std::string ablation_section(const Documents& documents) {
  std::string html;
  for (const Ablation& a : documents.ablations) {
    if (a.rows.empty()) continue;
    html += heading(model_name(a.model) + (a.recipe.empty() ? "" : ", " + a.recipe));
    std::string about;
    if (!a.text.empty()) about = "Text: " + model_name(a.text) + ".";
    if (std::isfinite(a.reference_perplexity)) {
      about += (about.empty() ? "" : " ") + ("Perplexity of the reference: " + fixed(a.reference_perplexity, 2) + ".");
    }
    html += paragraph(about) + chart(a) + table(a);
  }
  return section("ablation", "Ablation", "Mean KL divergence from the unquantized model, row by row; lower is better.",
                 html);
}

}  // namespace quamba2::report
