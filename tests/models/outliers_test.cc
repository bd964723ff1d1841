// SPDX-License-Identifier: Apache-2.0
// Every pass held to its job: outliers are planted in the bundled model so that its function stays (or nearly so), and the
// recipe must not care, while the recipe without the pass does.
#include <gtest/gtest.h>

#include <cmath>

#include "api/load_model.h"
#include "backend/executor.h"
#include "backends/cpu/cpu_backend.h"
#include "base/file.h"
#include "quamba2/quamba2.h"
#include "quant/edit.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

constexpr bool kDefault = false, kPaper = true;  // presets

std::vector<int32_t> tokens(const char* file, size_t count) {
  const std::string root = testing::source_path("models/demo");
  std::string text = read_file(root + "/" + file, 1 << 20);
  std::vector<int32_t> ids = Tokenizer::load(root)->encode(text.substr(0, 8 * count));
  ids.resize(std::min(ids.size(), count));
  return ids;
}

std::vector<float> logits(const ModelData& model, const std::vector<int32_t>& ids) {
  const auto n = static_cast<int32_t>(ids.size());
  Executor executor(model.graph, make_cpu_backend(2), {.max_tokens = n, .max_selected = n});
  const Segment segment{0, n, 0};
  executor.run(ids, {&segment, 1});
  std::vector<int32_t> rows;
  for (int32_t i = 0; i < n; ++i) rows.push_back(i);
  const float* out = executor.logits(rows);
  return {out, out + static_cast<int64_t>(n) * executor.table_rows()};
}

double mean_kl(const ModelData& a, const ModelData& b) {
  const std::vector<int32_t> ids = tokens("eval.txt", 256);
  const std::vector<float> la = logits(a, ids), lb = logits(b, ids);
  const int64_t rows = static_cast<int64_t>(la.size() / ids.size());
  return testing::mean_kl(la, lb, rows);
}

ModelData quantized(const ModelData& source, const char* recipe, bool paper, std::vector<std::string> skip,
                    bool Ingredients::* without = nullptr) {
  const std::vector<int32_t> ids = tokens("calib.txt", 4096);
  std::vector<std::vector<int32_t>> windows;
  for (size_t at = 0; at + 512 <= ids.size(); at += 512)
    windows.emplace_back(ids.begin() + static_cast<ptrdiff_t>(at), ids.begin() + static_cast<ptrdiff_t>(at + 512));
  Calibration calibration(make_cpu_backend(2), windows);
  RecipeOptions options;
  if (paper) options.ingredients = find_recipe(recipe).paper;
  if (without) options.ingredients.*without = false;
  options.table_bits = 8;
  PipelineOptions pipeline;
  pipeline.skip = std::move(skip);
  return assemble(run_recipe(find_recipe(recipe).make(options, source), source, &calibration, pipeline), source.config,
                  source.directory);
}

// Multiplies row (or number) `at` of a weight of every layer.
void scale_line(ModelData* model, const std::string& name, size_t dimension, size_t at, double factor) {
  for (Weight& weight : model->graph.weights) {
    if (weight.name.find(name) == std::string::npos) continue;
    const auto length = static_cast<size_t>(weight.values.dim(dimension));
    const auto inner =
        static_cast<size_t>(dimension == 0 && weight.values.shape().size() == 2 ? weight.values.dim(1) : 1);
    std::vector<float> v = decode_weight(weight);
    for (size_t i = 0; i < v.size(); ++i) {
      if (i / inner % length == at) v[i] = static_cast<float>(v[i] * factor);
    }
    set_floats(&weight, v);
  }
}

// At the input of out_proj, exactly: the Hadamard's job.
ModelData with_loud_outputs(ModelData model) {
  for (size_t c : {3u, 100u, 101u, 400u}) {
    scale_line(&model, "mixer.norm.weight", 0, c, 32);
    scale_line(&model, "mixer.out_proj.weight", 1, c, 1.0 / 32);
  }
  return model;
}

// In x, behind the conv: SiLU makes this inexact, so the planted model is its own reference. Sort-and-cluster's job.
ModelData with_loud_channels(ModelData model) {
  for (size_t c : {5u, 77u, 300u}) {
    scale_line(&model, "mixer.conv1d.weight", 0, c, 8);
    scale_line(&model, "mixer.conv1d.bias", 0, c, 8);
    scale_line(&model, "mixer.out_proj.weight", 1, c, 1.0 / 8);
  }
  return model;
}

// In B of the second of two SSD groups, taken back in C: the job of a scale a group.
ModelData with_loud_group(ModelData model) {
  constexpr size_t kInner = 512, kStates = 64;
  for (size_t n = 0; n < kStates; ++n) {
    const size_t b = kInner + kStates + n, c = b + 2 * kStates;
    for (const char* name : {"mixer.conv1d.weight", "mixer.conv1d.bias"}) {
      scale_line(&model, name, 0, b, 8);
      scale_line(&model, name, 0, c, 1.0 / 8);
    }
  }
  return model;
}

TEST(Outliers, TheOnlineHadamardTakesThemFromOutProj) {
  const ModelData plain = load_model(testing::source_path("models/demo")), planted = with_loud_outputs(plain);
  EXPECT_LT(mean_kl(plain, planted), 1e-6);
  const double without = mean_kl(plain, quantized(plain, "w8a8", kDefault, {}));
  const double with = mean_kl(planted, quantized(planted, "w8a8", kDefault, {}));
  const double skipped = mean_kl(planted, quantized(planted, "w8a8", kDefault, {"rotate_inner"}));
  EXPECT_LT(with, 1.5 * without);
  EXPECT_GT(skipped, 2 * with);
}

TEST(Outliers, ClustersTakeThemFromX) {
  const ModelData plain = load_model(testing::source_path("models/demo")), planted = with_loud_channels(plain);
  const double without = mean_kl(plain, quantized(plain, "w8a8", kPaper, {}));
  const double with = mean_kl(planted, quantized(planted, "w8a8", kPaper, {}));
  const double skipped = mean_kl(planted, quantized(planted, "w8a8", kPaper, {"cluster_channels"}));
  EXPECT_LT(with, 1.5 * without);
  EXPECT_GT(skipped, 1.2 * with);
  // A scale a channel, the default's, does not need them.
  const double own = mean_kl(planted, quantized(planted, "w8a8", kDefault, {}));
  EXPECT_LT(own, 1.5 * mean_kl(plain, quantized(plain, "w8a8", kDefault, {})));
}

// The planted model is another one, more easily upset by any error (w4a16, which leaves activations alone, loses 1.8 times as
// much on it), so losses are compared on it alone.
TEST(Outliers, GroupScalesTakeThemFromBAndC) {
  const ModelData planted = with_loud_group(load_model(testing::source_path("models/demo")));
  const double with = mean_kl(planted, quantized(planted, "w8a8", kPaper, {}));
  const double one_scale = mean_kl(planted, quantized(planted, "w8a8", kPaper, {}, &Ingredients::group_bc));
  EXPECT_GT(one_scale, 1.2 * with);
  EXPECT_LT(mean_kl(planted, quantized(planted, "w8a8", kDefault, {})), with);  // a scale a channel does no worse
}

TEST(Outliers, FourBitDefaultsHoldAgainstThem) {
  const ModelData plain = load_model(testing::source_path("models/demo"));
  const ModelData planted = with_loud_outputs(with_loud_channels(plain));
  for (const char* recipe : {"w4a8", "w4a16"}) {
    const double without = mean_kl(plain, quantized(plain, recipe, kDefault, {}));
    EXPECT_LT(mean_kl(planted, quantized(planted, recipe, kDefault, {})), 1.5 * without) << recipe;
  }
}

}  // namespace
}  // namespace quamba2
