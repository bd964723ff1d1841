// SPDX-License-Identifier: Apache-2.0
#include "report/documents.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/file.h"
#include "base/json.h"
#include "quamba2/error.h"
#include "report/reader.h"

namespace quamba2::report {
namespace {

// Bounds of lists: far above any real one, and low enough that the page stays one that a browser opens.
constexpr size_t kMaxLines = 100000, kMaxRows = 10000, kMaxLayers = 10000;
constexpr double kMaxRatio = 1e100;  // of a perplexity: a model that a recipe broke has no bound worth the name

// "layer 3" -> 3
int layer_of(const std::string& part) {
  constexpr std::string_view kPrefix = "layer ";
  const std::string digits = part.rfind(kPrefix, 0) == 0 ? part.substr(kPrefix.size()) : "";
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  const int layer = std::atoi(digits.c_str());
  return layer < static_cast<int>(kMaxLayers) ? layer : -1;
}

Pass read_pass(const Reader& r) {
  Pass out;
  out.part = r.required_text("part");
  out.pass = r.required_text("pass");
  out.detail = r.text("detail");
  out.layer = layer_of(out.part);
  out.seconds = r.number("seconds", 0, 1e9);
  out.relative_error = r.number("relative_error", 0, kMaxRatio);
  for (const Reader& o : r.objects("outliers", 100)) {
    out.outliers.push_back({o.required_text("edge"), o.at_least_zero("before"), o.at_least_zero("after")});
  }
  return out;
}

void read_quantization(const Reader& r, Documents* documents) {
  Quantization out;
  out.model = r.text("model");
  out.output = r.text("output");
  if (out.output.empty() && base_name(r.file()) == "quantization.json") {
    const std::string directory = base_name(parent_path(r.file()));
    if (directory.find_first_not_of("./") != std::string::npos) out.output = directory;  // "." tells nothing
  }
  out.recipe = r.text("recipe");
  out.preset = r.text("preset");
  if (out.output.empty() && out.model.empty()) refuse(r.place("output"), "neither model nor output is named");
  out.bytes_before = r.at_least_zero("bytes_before");
  out.bytes_after = r.at_least_zero("bytes_after");
  for (const Reader& pass : r.objects("passes", kMaxLines)) out.passes.push_back(read_pass(pass));
  documents->quantizations.push_back(std::move(out));
}

ComparedModel read_compared(const Reader& r) {
  ComparedModel out;
  out.model = r.required_text("model");
  out.recipe = r.text("recipe");
  out.weight_bytes = r.at_least_zero("weight_bytes");
  out.of_bf16 = r.number("of_bf16", 0, 1000);
  out.perplexity = r.number("perplexity", 0, kMaxRatio);
  out.standard_error = r.number("standard_error", 0, kMaxRatio);
  out.bits_per_byte = r.number("bits_per_byte", 0, 1e6);
  out.nll = r.number("nll", 0, 1e6);
  out.tokens = r.at_least_zero("tokens");
  out.windows = r.at_least_zero("windows");
  out.predicted = r.at_least_zero("predicted");
  out.seconds = r.number("seconds", 0, 1e9);
  out.ppl_increase_percent = r.number("ppl_increase_percent", -100, kMaxRatio);
  // A divergence is not negative, but a sum of rounded terms may be, by a little.
  out.mean_kl = r.number("mean_kl", -1, 1e6);
  out.kl_standard_error = r.number("kl_standard_error", 0, 1e6);
  out.kl_p99 = r.number("kl_p99", -1, 1e6);
  out.kl_max = r.number("kl_max", -1, 1e6);
  out.same_top_token = r.number("same_top_token", 0, 1);
  return out;
}

void read_comparison(const Reader& r, Documents* documents) {
  Comparison out;
  out.text = r.text("text");
  out.window = r.at_least_zero("window");
  out.a = read_compared(r.required_object("a"));
  for (const Reader& other : r.objects("others", kMaxRows)) out.others.push_back(read_compared(other));
  documents->comparisons.push_back(std::move(out));
}

void read_bench(const std::vector<Reader>& rows, Documents* documents) {
  for (const Reader& r : rows) {
    BenchRow out;
    out.model = r.required_text("model");
    out.test = r.required_text("test");
    out.recipe = r.text("recipe");
    out.machine = r.text("machine");
    out.engine = r.text("engine");
    out.ceiling_text = r.text("ceiling_text");
    out.weight_bytes = r.at_least_zero("weight_bytes");
    out.threads = r.number("threads", 0, 1e6);
    out.batch = r.number("batch", 0, 1e6);
    out.tokens_per_second = r.number("tokens_per_second", 0, 1e12);
    out.deviation = r.number("deviation", 0, 1e12);
    out.ceiling = r.number("ceiling", 0, 1e15);
    documents->bench.push_back(std::move(out));
  }
}

// Zero stands for a speed that was not measured.
double speed(const Reader& r, std::string_view key) {
  const double out = r.number(key, 0, 1e12);
  return out > 0 ? out : kUnknown;
}

Point read_point(const Reader& r) {
  Point out;
  out.name = r.text("name");
  out.layers = r.texts("layers", kMaxLayers);
  out.mean_kl = r.number("mean_kl", -1, 1e6);
  out.weight_bytes = r.at_least_zero("weight_bytes");
  out.prefill_tokens_per_second = speed(r, "prefill_tokens_per_second");
  out.decode_tokens_per_second = speed(r, "decode_tokens_per_second");
  return out;
}

void read_search(const Reader& r, Documents* documents) {
  Search out;
  out.model = r.text("model");
  out.text = r.text("text");
  out.budget = r.text("budget");
  if (out.budget != "size" && out.budget != "prefill" && out.budget != "decode") {
    refuse(r.place("budget"), "'" + shortened(out.budget, 40) + "' is not size, prefill or decode");
  }
  out.choices = r.texts("choices", 1000);
  out.limit = r.at_least_zero("limit");
  out.evaluated = r.at_least_zero("evaluated");
  out.best = read_point(r.required_object("best"));
  for (const Reader& point : r.objects("uniform", kMaxRows)) out.uniform.push_back(read_point(point));
  for (const Reader& point : r.objects("front", kMaxRows)) out.front.push_back(read_point(point));
  documents->searches.push_back(std::move(out));
}

void read_ablation(const Reader& r, Documents* documents) {
  Ablation out;
  out.model = r.text("model");
  out.recipe = r.text("recipe");
  out.text = r.text("text");
  out.reference_perplexity = r.number("reference_perplexity", 0, kMaxRatio);
  for (const Reader& row : r.objects("rows", kMaxRows)) {
    AblationRow line;
    line.name = row.required_text("name");
    line.weight_bytes = row.at_least_zero("weight_bytes");
    line.of_bf16 = row.number("of_bf16", 0, 1000);
    line.perplexity = row.number("perplexity", 0, kMaxRatio);
    line.ppl_increase_percent = row.number("ppl_increase_percent", -100, kMaxRatio);
    line.mean_kl = row.number("mean_kl", -1, 1e6);
    line.same_top_token = row.number("same_top_token", 0, 1);
    line.layer_error = row.number("layer_error", 0, kMaxRatio);
    line.seconds = row.number("seconds", 0, 1e9);
    out.rows.push_back(std::move(line));
  }
  documents->ablations.push_back(std::move(out));
}

void read_bench_object(const Reader& r, Documents* documents) { read_bench(r.objects("rows", kMaxRows), documents); }

struct Kind {
  const char* name;
  void (*read)(const Reader&, Documents*);
};
constexpr Kind kKinds[] = {{"quantization", read_quantization},
                           {"comparison", read_comparison},
                           {"bench", read_bench_object},
                           {"search", read_search},
                           {"ablation", read_ablation}};

}  // namespace

void add_document(const std::string& name, std::string_view json, Documents* documents) {
  const Json value = Json::parse(json, name);
  if (value.is_array()) {  // `bench` wrote its rows bare once
    const std::vector<Reader> rows = objects_of(value, name, "", kMaxRows);
    if (rows.empty() || !value.as_array(name)[0].find("tokens_per_second")) {
      refuse(name, "a bare list is expected to hold rows of `bench`, with tokens_per_second");
    }
    read_bench(rows, documents);
    documents->sources.push_back({name, "bench"});
    return;
  }
  const Reader reader(value, name);
  const std::string given = reader.text("kind");
  std::string known;
  for (const Kind& kind : kKinds) {
    if (given == kind.name) {
      kind.read(reader, documents);
      documents->sources.push_back({name, given});
      return;
    }
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  refuse(name,
         (given.empty() ? "it has no kind" : "unknown kind '" + shortened(given, 40) + "'") + "; known are " + known);
}

std::string model_name(const std::string& path) { return base_name(path); }

std::string result_name(const Quantization& q) {
  if (!q.output.empty()) return model_name(q.output);
  return model_name(q.model) + (q.recipe.empty() ? " quantized" : "-" + q.recipe);
}

}  // namespace quamba2::report
