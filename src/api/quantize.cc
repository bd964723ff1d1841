// SPDX-License-Identifier: Apache-2.0
#include "quamba2/quantize.h"

#include "api/calibration_text.h"
#include "api/engine_impl.h"
#include "api/job_text.h"
#include "api/load_model.h"
#include "api/recipe_choice.h"
#include "base/memory.h"
#include "graph/model.h"
#include "io/part_files.h"
#include "quamba2/error.h"
#include "quant/pipeline.h"

namespace quamba2 {
namespace {

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

}  // namespace

std::vector<RecipeInfo> recipes() {
  std::vector<RecipeInfo> out;
  for (const RecipeEntry& entry : recipe_index()) out.push_back({entry.name, entry.summary, true});
  return out;
}

std::vector<IngredientInfo> ingredients() {
  std::vector<IngredientInfo> out;
  for (const IngredientEntry& entry : ingredient_index()) out.push_back({entry.name, entry.summary});
  return out;
}

QuantizeReport quantize(Model& model, const QuantizeOptions& options) {
  const ModelData& source = model.data();
  const Recipe recipe = choose_recipe(options, source);
  if (!model.recipe().empty()) {
    throw Error(ErrorCode::kUsage, "model is quantized already", model.name(), "its recipe is " + model.recipe(),
                "quantize the original checkpoint");
  }
  // A device that cannot be used is told before text is read.
  const std::shared_ptr<const Backend> host = make_backend("cpu", options.threads);
  const std::shared_ptr<const Backend> device =
      options.device == "cpu" ? nullptr : make_backend(options.device, options.threads);
  QuantizeReport report;
  report.device = options.device;
  report.model = source.name;
  report.recipe = options.recipe;
  report.preset = options.preset;
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
  Calibration calibration(host, std::move(windows), device);
  Artifact artifact = run_recipe(recipe, source, &calibration, pipeline, &report.passes);
  model.data() = assemble(std::move(artifact), source.config, source.directory);
  report.bytes_after = model.weight_bytes();
  if (device) report.peak_device_bytes = device->device()->peak_bytes();
  report.peak_host_bytes = peak_memory_bytes();
  model.data().notes["quantization.json"] = to_json(report);
  return report;
}

void remove_work(const std::string& work_directory) { PartFiles::remove(work_directory); }

}  // namespace quamba2
