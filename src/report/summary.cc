// SPDX-License-Identifier: Apache-2.0
// The headline: a row a model.
#include <algorithm>
#include <cmath>
#include <set>

#include "report/html.h"
#include "report/sections.h"
#include "report/text.h"

namespace quamba2::report {
namespace {

bool any(const ModelTable& models, double ModelRow::* member) {
  return std::any_of(models.rows.begin(), models.rows.end(),
                     [&](const ModelRow& r) { return std::isfinite(r.*member); });
}

std::string lead(const ModelTable& models, const std::set<std::string>& texts) {
  std::string out;
  if (any(models, &ModelRow::perplexity)) {
    out = "Perplexity with its standard error";
    if (texts.size() == 1 && !texts.begin()->empty()) out += " (" + *texts.begin() + ")";
    out +=
        "; KL divergence from the reference model in nats a token; the share of tokens for which both find the same "
        "one likeliest.";
  }
  if (!models.prefill_setting.empty()) out += " Prefill: " + models.prefill_setting + ".";
  if (!models.decode_setting.empty()) out += " Decode: " + models.decode_setting + ".";
  return out;
}

}  // namespace

std::string summary_section(const ModelTable& models) {
  if (models.rows.empty()) return "";
  std::set<std::string> texts;
  for (const ModelRow& row : models.rows) {
    if (!row.text.empty()) texts.insert(row.text);
  }
  // A column that no model fills is left out.
  struct Column {
    const char* title;
    bool shown;
    std::string (*cell)(const ModelRow&);
  };
  const Column columns[] = {
      {"size", any(models, &ModelRow::weight_bytes), [](const ModelRow& r) { return bytes_text(r.weight_bytes); }},
      {"of BF16", any(models, &ModelRow::of_bf16),
       [](const ModelRow& r) { return std::isfinite(r.of_bf16) ? fixed(r.of_bf16, 3) + "×" : "–"; }},
      {"perplexity", any(models, &ModelRow::perplexity),
       [](const ModelRow& r) { return plus_minus(r.perplexity, r.standard_error, 2); }},
      {"change", any(models, &ModelRow::change_percent),
       [](const ModelRow& r) { return change_text(r.change_percent); }},
      {"mean KL", any(models, &ModelRow::mean_kl), [](const ModelRow& r) { return number(r.mean_kl); }},
      {"same top token", any(models, &ModelRow::same_top_token),
       [](const ModelRow& r) { return percent_text(r.same_top_token); }},
      {"prefill, tokens/s", any(models, &ModelRow::prefill), [](const ModelRow& r) { return number(r.prefill); }},
      {"decode, tokens/s", any(models, &ModelRow::decode), [](const ModelRow& r) { return number(r.decode); }}};
  HtmlTable table;
  table.column("model", false).column("recipe", false);
  if (texts.size() > 1) table.column("text", false);
  for (const Column& column : columns) {
    if (column.shown) table.column(column.title);
  }
  for (const ModelRow& row : models.rows) {
    std::vector<std::string> cells = {row.name, row.reference && row.recipe.empty() ? "reference" : row.recipe};
    if (texts.size() > 1) cells.push_back(row.text);
    for (const Column& column : columns) {
      if (column.shown) cells.push_back(column.cell(row));
    }
    table.row(cells, row.reference ? "reference" : "");
  }
  return section("summary", "Models", lead(models, texts), table.html());
}

}  // namespace quamba2::report
