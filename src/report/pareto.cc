// SPDX-License-Identifier: Apache-2.0
// Quality against size and speed, a set of plots for each text and reference.
#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/scatter.h"
#include "report/sections.h"

namespace quamba2::report {
namespace {

struct Cost {
  const char* title;
  double ModelRow::* member;
  bool more_is_better;
  std::string axis;
};

std::string tooltip_of(const ModelRow& r) {
  std::string out = r.name + "\nmean KL " + number(r.mean_kl) + ", " + bytes_text(r.weight_bytes);
  if (std::isfinite(r.perplexity))
    out += "\nperplexity " + fixed(r.perplexity, 2) + " (" + change_text(r.change_percent) + ")";
  if (std::isfinite(r.prefill)) out += "\nprefill " + number(r.prefill) + " tokens/s";
  if (std::isfinite(r.decode)) out += "\ndecode " + number(r.decode) + " tokens/s";
  return out;
}

std::string chart_of(const ModelTable& models, const std::string& group, const Cost& cost) {
  std::string reference;
  double largest = 0;
  for (const ModelRow& row : models.rows) {
    if (row.group != group) continue;
    if (row.reference)
      reference = row.name;
    else if (std::isfinite(row.weight_bytes))
      largest = std::max(largest, row.weight_bytes);
  }
  const bool bytes = cost.member == &ModelRow::weight_bytes;
  const Unit unit = bytes ? byte_unit(largest) : Unit{1, ""};
  ScatterChart chart;
  chart.name = std::string("Mean KL divergence against ") + cost.title;
  chart.more_is_better = cost.more_is_better;
  chart.x_title = cost.axis + (bytes ? unit.name : "");
  chart.y_title = "mean KL divergence, nats (log scale)";
  for (const ModelRow& row : models.rows) {
    if (row.group != group || row.reference) continue;
    chart.points.push_back({row.*cost.member / unit.size, row.mean_kl, short_name(row.name, reference), tooltip_of(row),
                            models.series.find(row.name), false});
  }
  return scatter(chart);
}

std::string reference_text(const ModelRow& r) {
  std::string out = "Reference: " + r.name + ", " + bytes_text(r.weight_bytes);
  if (std::isfinite(r.perplexity)) out += ", perplexity " + fixed(r.perplexity, 2);
  return out + (r.text.empty() ? "." : "; text: " + r.text + ".");
}

}  // namespace

std::string pareto_section(const ModelTable& models) {
  const Cost costs[] = {
      {"size", &ModelRow::weight_bytes, false, "size of the weights, "},
      {"decode speed", &ModelRow::decode, true, "decode (" + models.decode_setting + "), tokens/s"},
      {"prefill speed", &ModelRow::prefill, true, "prefill (" + models.prefill_setting + "), tokens/s"}};
  std::string html;
  for (const ModelRow& reference : models.rows) {
    if (!reference.reference) continue;
    std::string charts;
    for (const Cost& cost : costs) {
      const std::string svg = chart_of(models, reference.group, cost);
      if (!svg.empty()) charts += heading(std::string("Quality and ") + cost.title) + picture(svg);
    }
    if (!charts.empty()) html += paragraph(reference_text(reference)) + charts;
  }
  return section(
      "pareto", "Quality against cost",
      "Lower is better, left is smaller, right is faster. The line joins the models that no other beats in both "
      "at once.",
      html);
}

}  // namespace quamba2::report
