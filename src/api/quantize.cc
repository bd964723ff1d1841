// SPDX-License-Identifier: Apache-2.0
#include "quamba2/quantize.h"

#include <algorithm>
#include <numeric>

#include "api/engine_impl.h"
#include "api/load_model.h"
#include "base/random.h"
#include "graph/model.h"
#include "io/part_files.h"
#include "quamba2/error.h"
#include "quant/pipeline.h"

namespace quamba2 {
namespace {

void check_utf8(const std::string& text) {
  // A tokenizer would read invalid bytes as U+FFFD: the ranges would be those of another text.
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const size_t n = c < 0x80 ? 1 : (c >> 5) == 6 ? 2 : (c >> 4) == 14 ? 3 : (c >> 3) == 30 ? 4 : 0;
    bool ok = n > 0 && i + n <= text.size();
    for (size_t k = 1; ok && k < n; ++k) ok = (static_cast<unsigned char>(text[i + k]) >> 6) == 2;
    if (!ok)
      throw Error(ErrorCode::kUsage, "calibration text is not UTF-8", "byte " + std::to_string(i),
                  "it cannot be tokenized", "convert the file to UTF-8");
    i += n;
  }
}

// `samples` windows of the text, chosen by the seed, in random order.
std::vector<std::vector<int32_t>> cut_windows(const std::vector<int32_t>& ids, const QuantizeOptions& options) {
  const int64_t window = options.calibration_window;
  const int64_t available = static_cast<int64_t>(ids.size()) / window;
  if (available == 0) {
    throw Error(ErrorCode::kUsage, "calibration text too short", "",
                std::to_string(ids.size()) + " tokens are no window of " + std::to_string(window),
                "give more text, or a smaller --calib-window");
  }
  std::vector<int64_t> order(static_cast<size_t>(available));
  std::iota(order.begin(), order.end(), 0);
  Random random(options.seed);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  order.resize(static_cast<size_t>(std::min(available, options.calibration_samples)));
  std::vector<std::vector<int32_t>> out;
  for (int64_t w : order) out.emplace_back(ids.begin() + w * window, ids.begin() + (w + 1) * window);
  return out;
}

std::vector<std::vector<int32_t>> calibration_windows(const ModelData& model, const QuantizeOptions& options) {
  if (options.calibration_text.empty()) {
    throw Error(ErrorCode::kUsage, "no calibration text", options.recipe, "this recipe measures static scales on text",
                "pass --calib FILE");
  }
  if (options.calibration_samples < 1 || options.calibration_window < 2) {
    throw Error(ErrorCode::kUsage, "calibration size out of range", "", "at least one sample of two tokens is needed");
  }
  check_utf8(options.calibration_text);
  const auto tokenizer = Tokenizer::load(options.tokenizer.empty() ? model.directory : options.tokenizer);
  const int64_t rows = model.graph.edges[static_cast<size_t>(model.graph.logits)].columns;
  if (tokenizer->vocab_size() > rows) {
    throw Error(ErrorCode::kModelFile, "tokenizer does not fit the model", model.directory,
                "it has " + std::to_string(tokenizer->vocab_size()) + " ids, the embedding has " +
                    std::to_string(rows) + " rows",
                "use the tokenizer that the model was trained with");
  }
  return cut_windows(tokenizer->encode(options.calibration_text), options);
}

// Everything that decides the bits of a finished part.
std::string job_text(const QuantizeOptions& o, const Model& model, bool reads_text) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (char c : reads_text ? o.calibration_text : std::string())
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::string out = "quamba2 job 1\nmodel " + model.data().directory + " " + std::to_string(model.weight_bytes());
  out += "\nrecipe " + o.recipe + " " + o.preset + " " + std::to_string(o.table_bits) + " " + std::to_string(o.group);
  for (const std::string& layer : o.layers) out += " " + layer;
  out += "\ntext " + std::to_string(hash) + " " + std::to_string(o.calibration_samples) + " " +
         std::to_string(o.calibration_window) + " " + std::to_string(o.seed) + "\nskip";
  for (const std::string& pass : o.skip) out += " " + pass;
  return out + "\nstop " + o.stop_after + "\n";
}

class FileStore : public PartStore {
 public:
  explicit FileStore(PartFiles files) : files_(std::move(files)) {}
  bool restore(int64_t part, Artifact* out) override {
    if (!files_.has(part)) return false;
    *out = files_.read(part);
    return true;
  }
  // What stays in memory is the mapped file.
  void keep(int64_t part, Artifact* finished) override {
    files_.write(part, *finished);
    *finished = files_.read(part);
  }

 private:
  PartFiles files_;
};

Recipe make_recipe(const QuantizeOptions& options, const ModelData& model) {
  RecipeOptions out;
  if (options.preset != "default" && options.preset != "paper") {
    throw Error(ErrorCode::kUsage, "unknown preset " + options.preset, "", "there is none of this name",
                "the presets are default and paper");
  }
  if (options.group != 0 && (options.group < 16 || options.group > 4096)) {
    throw Error(ErrorCode::kUsage, "group out of range", std::to_string(options.group), "16 to 4,096 is possible");
  }
  out.preset = options.preset == "paper" ? Preset::kPaper : Preset::kDefault;
  out.table_bits = options.table_bits;
  out.group = options.group;
  out.layers = options.layers;
  return find_recipe(options.recipe).make(out, model);
}

}  // namespace

std::vector<RecipeInfo> recipes() {
  std::vector<RecipeInfo> out;
  for (const RecipeEntry& entry : recipe_index()) out.push_back({entry.name, entry.summary, true});
  return out;
}

QuantizeReport quantize(Model& model, const QuantizeOptions& options) {
  const ModelData& source = model.data();
  const Recipe recipe = make_recipe(options, source);
  if (!model.recipe().empty()) {
    throw Error(ErrorCode::kUsage, "model is quantized already", model.name(), "its recipe is " + model.recipe(),
                "quantize the original checkpoint");
  }
  QuantizeReport report;
  report.bytes_before = model.weight_bytes();
  PipelineOptions pipeline{options.stop_after, options.skip};
  const bool reads_text = needs_text(recipe, source, pipeline);
  std::vector<std::vector<int32_t>> windows;
  if (reads_text) windows = calibration_windows(source, options);
  std::unique_ptr<FileStore> store;
  if (!options.work_directory.empty()) {
    store = std::make_unique<FileStore>(
        PartFiles(options.work_directory, job_text(options, model, reads_text), options.resume));
    pipeline.store = store.get();
  }
  Calibration calibration(make_backend("cpu", options.threads), std::move(windows));
  Artifact artifact = run_recipe(recipe, source, &calibration, pipeline, &report.passes);
  model.data() = assemble(std::move(artifact), source.config, source.directory);
  report.bytes_after = model.weight_bytes();
  return report;
}

void remove_work(const std::string& work_directory) { PartFiles::remove(work_directory); }

}  // namespace quamba2
