// SPDX-License-Identifier: Apache-2.0
// Experiments as JSON documents.
#include "base/json.h"
#include "quamba2/search.h"

namespace quamba2 {
namespace {

const char* name_of(Budget budget) {
  switch (budget) {
    case Budget::kSize: return "size";
    case Budget::kPrefill: return "prefill";
    case Budget::kDecode: return "decode";
  }
  return "?";
}

Json list_of(const std::vector<std::string>& names) {
  Json out(Json::Array{});
  for (const std::string& name : names) out.push_back(name);
  return out;
}

Json describe(const SearchPoint& point) {
  Json out;
  out.set("name", point.name);
  out.set("layers", list_of(point.layers));
  out.set("mean_kl", Json::finite(point.mean_kl));
  out.set("weight_bytes", Json::finite(point.weight_bytes));
  out.set("prefill_tokens_per_second", Json::finite(point.prefill));
  out.set("decode_tokens_per_second", Json::finite(point.decode));
  return out;
}

Json describe_all(const std::vector<SearchPoint>& points) {
  Json out(Json::Array{});
  for (const SearchPoint& point : points) out.push_back(describe(point));
  return out;
}

Json describe(const AblationRow& row, double reference) {
  Json out;
  out.set("name", row.name);
  out.set("with", list_of(row.with));
  out.set("weight_bytes", static_cast<int64_t>(row.weight_bytes));
  out.set("of_bf16", Json::finite(row.of_bf16));
  out.set("perplexity", Json::finite(row.comparison.perplexity.perplexity));
  out.set("ppl_increase_percent", Json::finite(100 * (row.comparison.perplexity.perplexity / reference - 1)));
  out.set("mean_kl", Json::finite(row.comparison.mean_kl));
  out.set("same_top_token", Json::finite(row.comparison.same_top_token));
  out.set("layer_error", Json::finite(row.layer_error));
  out.set("seconds", Json::finite(row.seconds));
  return out;
}

}  // namespace

std::string to_json(const SearchReport& report) {
  Json out;
  out.set("kind", "search");
  out.set("model", report.model);
  out.set("choices", list_of(report.options.choices));
  out.set("budget", name_of(report.options.budget));
  out.set("limit", Json::finite(report.options.limit));
  out.set("seed", static_cast<int64_t>(report.options.quantize.seed));
  out.set("evaluated", report.evaluated);
  out.set("best", describe(report.best));
  out.set("uniform", describe_all(report.uniform));
  out.set("front", describe_all(report.front));
  return out.dump() + "\n";
}

std::string to_json(const AblationReport& report) {
  Json out;
  out.set("kind", "ablation");
  out.set("model", report.model);
  out.set("recipe", report.recipe);
  out.set("reference_perplexity", Json::finite(report.reference.perplexity));
  Json rows(Json::Array{});
  for (const AblationRow& row : report.rows) rows.push_back(describe(row, report.reference.perplexity));
  out.set("rows", std::move(rows));
  return out.dump() + "\n";
}

}  // namespace quamba2
