// SPDX-License-Identifier: Apache-2.0
#include "api/job_text.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "io/part_files.h"
#include "quamba2/error.h"
#include "quamba2/search.h"
#include "quant/recipe.h"

namespace quamba2 {
namespace {

struct AblationStep {
  const char* name;
  std::vector<std::string> adds;
  bool of_activations;  // no use where activations are floats
};

// The first five in the order of arXiv 2503.22879's table; what follows is ours.
const std::vector<AblationStep>& steps() {
  static const std::vector<AblationStep> all = {
      {"rounding in groups", {}, false},
      {"+ Hadamard", {"rotate-residual", "rotate-inner"}, false},
      {"+ GPTQ", {"gptq"}, false},
      {"+ B and C a state group", {"group-bc"}, true},
      {"+ sort and cluster x", {"cluster"}, true},
      {"+ one table in 6 bits", {"shared-table"}, false},
      {"+ refined rounding", {"refine"}, false},
      {"+ scales a token and channel", {"fine-scales"}, true},
      {"+ dynamic state scales", {"dynamic-state"}, true},
      {"+ F16 states", {"f16-state"}, true},
  };
  return all;
}

bool has_use(const AblationStep& step, const QuantizeOptions& options) {
  const bool activations = find_recipe(options.recipe).paper.group_bc;
  if (step.of_activations && !activations) return false;
  const bool only_gptq = step.adds == std::vector<std::string>{"gptq"};
  const bool eight_bits = options.recipe == "w8a8" && (options.table_bits == 0 || options.table_bits >= 8);
  return !(only_gptq && eight_bits);
}

// What the report of a quantization says about its layers and its time.
void add_figures(const Json& report, AblationRow* row) {
  double layers = 0;
  for (const Json& pass : report.find("passes")->as_array("passes")) {
    row->seconds += pass.get("seconds", 0.0);
    if (!pass.find("relative_error")) continue;
    row->layer_error += pass.get("relative_error", 0.0);
    layers += 1;
  }
  if (layers > 0) row->layer_error /= layers;
}

// Quantized once and kept, where there is a place to keep it.
Model quantized(const Model& source, const QuantizeOptions& options, const std::string& place, AblationRow* row) {
  if (!place.empty() && path_exists(place)) {
    const std::string report = join_path(place, "quantization.json");
    add_figures(Json::parse(read_file(report, 64 << 20), report), row);
    return Model::from_pretrained(place);
  }
  Model model = Model::from_pretrained(source.data().directory);
  QuantizeOptions o = options;
  o.preset = "plain";
  o.with = row->with;
  o.without.clear();
  o.work_directory.clear();
  const QuantizeReport report = quantize(model, o);
  add_figures(Json::parse(to_json(report), "report"), row);
  if (place.empty()) return model;
  model.save(place, true);
  return Model::from_pretrained(place);
}

}  // namespace

AblationReport ablate(const Model& model, const AblationOptions& options) {
  if (options.text.empty())
    throw Error(ErrorCode::kUsage, "no text", "ablation", "rows are compared on text", "pass --text FILE");
  const std::string& work = options.quantize.work_directory;
  if (!work.empty()) PartFiles(work, "ablation\n" + job_text(options.quantize, model, true), options.quantize.resume);
  AblationReport report{model.name(), options.quantize.recipe, {}, {}};
  EngineOptions engine_options;
  engine_options.threads = options.quantize.threads;
  engine_options.tokenizer = options.quantize.tokenizer;
  std::vector<Engine> engines;
  std::vector<std::string> with;
  for (const AblationStep& step : steps()) {
    with.insert(with.end(), step.adds.begin(), step.adds.end());
    if (!has_use(step, options.quantize)) continue;
    log(LogLevel::kInfo, std::string(step.name));
    AblationRow row;
    row.name = step.name;
    row.with = with;
    const std::string place = work.empty() ? "" : join_path(work, "step-" + std::to_string(report.rows.size()));
    const Model one = quantized(model, options.quantize, place, &row);
    row.weight_bytes = one.weight_bytes();
    row.of_bf16 = static_cast<double>(one.weight_bytes()) / static_cast<double>(one.bf16_bytes());
    engines.emplace_back(one, engine_options);
    report.rows.push_back(std::move(row));
  }
  Engine reference(model, engine_options);
  std::vector<Engine*> others;
  for (Engine& engine : engines) others.push_back(&engine);
  Comparisons all = compare(reference, others, options.text, options.windows);
  report.reference = std::move(all.reference);
  for (size_t i = 0; i < report.rows.size(); ++i) report.rows[i].comparison = std::move(all.others[i]);
  return report;
}

}  // namespace quamba2
