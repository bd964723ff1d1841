// SPDX-License-Identifier: Apache-2.0
#include "report/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace quamba2::report {
namespace {

ModelRow* find(std::vector<ModelRow>* rows, const std::string& name, const std::string* group) {
  for (ModelRow& row : *rows) {
    if (row.name == name && (!group || row.group == *group)) return &row;
  }
  return nullptr;
}

void add_compared(const ComparedModel& m, const std::string& text, const std::string& group, bool reference,
                  std::vector<ModelRow>* rows) {
  const std::string name = model_name(m.model);
  ModelRow* row = find(rows, name, &group);
  if (row && reference) return;  // measured by an earlier comparison already
  if (!row) {
    rows->emplace_back();
    row = &rows->back();
  }
  row->name = name;
  row->recipe = m.recipe;
  row->text = text;
  row->group = group;
  row->reference = reference;
  row->weight_bytes = m.weight_bytes;
  row->of_bf16 = m.of_bf16;
  row->perplexity = m.perplexity;
  row->standard_error = m.standard_error;
  row->change_percent = m.ppl_increase_percent;
  row->mean_kl = m.mean_kl;
  row->kl_standard_error = m.kl_standard_error;
  row->same_top_token = m.same_top_token;
}

void add_comparison(const Comparison& c, std::vector<ModelRow>* rows) {
  std::string text = model_name(c.text);
  if (std::isfinite(c.window)) text += (text.empty() ? "" : ", ") + ("windows of " + fixed(c.window, 0));
  const std::string group = text + " | " + model_name(c.a.model);
  add_compared(c.a, text, group, true, rows);
  for (const ComparedModel& other : c.others) add_compared(other, text, group, false, rows);
}

// Fills what a comparison did not say, or adds a row.
void add_sized(const std::string& path, const std::string& recipe, double bytes, std::vector<ModelRow>* rows) {
  const std::string name = model_name(path);
  if (name.empty()) return;
  bool known = false;
  for (ModelRow& row : *rows) {
    if (row.name != name) continue;
    known = true;
    if (row.recipe.empty()) row.recipe = recipe;
    if (!std::isfinite(row.weight_bytes)) row.weight_bytes = bytes;
  }
  if (known) return;
  ModelRow row;
  row.name = name;
  row.recipe = recipe;
  row.weight_bytes = bytes;
  rows->push_back(row);
}

std::string recipe_text(const Quantization& q) {
  return q.recipe + (q.preset.empty() || q.preset == "default" ? "" : ", " + q.preset);
}

// "pp512, 2 threads, batch 4"
std::string setting_of(const BenchRow& row, bool machine) {
  std::string out = row.test;
  if (std::isfinite(row.threads)) out += fmt::format(", {:.0f} thread{}", row.threads, row.threads == 1 ? "" : "s");
  if (std::isfinite(row.batch) && row.batch != 1) out += fmt::format(", batch {:.0f}", row.batch);
  if (machine && !row.machine.empty()) out += ", " + row.machine;
  return out;
}

// Joins the rows whose test begins with `prefix` ("pp"), of the setting that most models have (the earliest of equals).
std::string join_speed(const Documents& documents, const std::string& prefix, double ModelRow::* speed,
                       std::vector<ModelRow>* rows) {
  std::set<std::string> machines;
  for (const BenchRow& row : documents.bench) machines.insert(row.machine);
  std::vector<std::string> settings;
  std::map<std::string, std::map<std::string, double>> measured;  // setting, model
  for (const BenchRow& row : documents.bench) {
    if (row.test.rfind(prefix, 0) != 0 || !std::isfinite(row.tokens_per_second)) continue;
    const std::string setting = setting_of(row, machines.size() > 1);
    if (!measured.count(setting)) settings.push_back(setting);
    measured[setting][model_name(row.model)] = row.tokens_per_second;
  }
  const auto best = std::max_element(settings.begin(), settings.end(), [&](const auto& l, const auto& r) {
    return measured[l].size() < measured[r].size();
  });
  if (best == settings.end()) return "";
  for (const auto& [name, tokens] : measured[*best]) {
    for (ModelRow& row : *rows) {
      if (row.name == name) row.*speed = tokens;
    }
  }
  return *best;
}

}  // namespace

ModelTable join_models(const Documents& documents) {
  ModelTable out;
  for (const Comparison& c : documents.comparisons) add_comparison(c, &out.rows);
  for (const Quantization& q : documents.quantizations) {
    add_sized(q.model, "", q.bytes_before, &out.rows);
    add_sized(result_name(q), recipe_text(q), q.bytes_after, &out.rows);
    for (ModelRow& row : out.rows) {  // the preset is known here alone
      if (row.name == result_name(q) && row.recipe == q.recipe) row.recipe = recipe_text(q);
    }
  }
  for (const BenchRow& row : documents.bench) add_sized(row.model, row.recipe, row.weight_bytes, &out.rows);
  for (const ModelRow& row : out.rows) {
    if (!row.reference) out.series.index(row.name);
  }
  out.prefill_setting = join_speed(documents, "pp", &ModelRow::prefill, &out.rows);
  out.decode_setting = join_speed(documents, "tg", &ModelRow::decode, &out.rows);
  return out;
}

std::string short_name(const std::string& name, const std::string& reference) {
  const std::string prefix = reference + "-";
  return name.size() > prefix.size() && name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name;
}

}  // namespace quamba2::report
