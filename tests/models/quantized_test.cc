// SPDX-License-Identifier: Apache-2.0
// Recipes on small models of every family and form: quantized, saved, loaded, run; CPU levels against the reference on
// the same packed bits.
#include <gtest/gtest.h>

#include <cmath>

#include "api/load_model.h"
#include "backend/executor.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/table.h"
#include "backends/reference/reference.h"
#include "base/file.h"
#include "io/artifact.h"
#include "quamba2/quamba2.h"
#include "quant/passes/passes.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

using testing::random_ids;
using testing::run_model;

const char* const kModels[] = {"mamba1-pickle",       "mamba1-hf-bf16",     "mamba1-layernorm-fp16", "mamba2-hf",
                               "mamba2-groups2-bf16", "mamba2-groups4-odd", "mamba2-dssm-nonorm",    "falcon-mamba"};

// A model after the passes of a recipe.
ModelData after(const Recipe& recipe, const ModelData& source, Calibration* calibration) {
  return assemble(run_recipe(recipe, source, calibration, {}), source.config, source.directory);
}

// "w4a8", or "w4a8_paper" for the paper's preset.
ModelData quantized(const std::string& name, const std::string& recipe, int table_bits = 0) {
  const ModelData source = load_model(testing::source_path("tests/golden/" + name));
  std::vector<std::vector<int32_t>> windows;
  for (uint64_t s = 0; s < 8; ++s) windows.push_back(random_ids(64, source.vocab_size, s));
  Calibration calibration(make_cpu_backend(1), windows);
  RecipeOptions options;
  options.table_bits = table_bits;
  const size_t paper = recipe.find("_paper");
  const std::string base = recipe.substr(0, paper);
  if (paper != recipe.npos) options.ingredients = find_recipe(base).paper;
  if (base == "w4a8") options.ingredients.f16_state = false;  // INT8 states with scales of their own
  for (int64_t i = 0; base == "w4ax" && i < source.n_layer; ++i)
    options.layers.push_back(i % 2 ? "w4a8" : i % 4 ? "w8a8" : "w4a16");
  return after(find_recipe(base).make(options, source), source, &calibration);
}

// The largest change of a logit in double precision, over the largest logit.
double largest_move(const ModelData& before, const ModelData& now) {
  const std::vector<float> a = run_model(before, make_reference_backend()),
                           b = run_model(now, make_reference_backend());
  double scale = 0, move = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    scale = std::max<double>(scale, std::fabs(a[i]));
    move = std::max<double>(move, std::fabs(a[i] - b[i]));
  }
  return move / scale;
}

class Quantized : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  const char* model() const { return std::get<0>(GetParam()); }
  const char* recipe() const { return std::get<1>(GetParam()); }
};

// A code may fall on either side of a tie, so logits of INT8 activations are compared as distributions: what differs
// must be far below what the quantization itself costs.
TEST_P(Quantized, CpuLevelsAgreeWithTheReferenceOnTheSameBits) {
  const ModelData float_model = load_model(testing::source_path(std::string("tests/golden/") + model()));
  // An integer table straight into a norm with a scale a token gives exact ties, which fall to either side: not this one.
  const ModelData quant_model = quantized(model(), recipe(), 16);
  testing::expect_levels_agree(float_model, quant_model);
}

TEST_P(Quantized, SavedAndLoadedModelsGiveTheSameBits) {
  const ModelData before = quantized(model(), recipe());
  const std::string path = join_path(testing::temporary_directory(), "model");
  write_artifact(before, path, false);
  const ModelData after = load_model(path);
  EXPECT_EQ(after.recipe, std::string(recipe()).substr(0, std::string(recipe()).find("_paper")));
  EXPECT_EQ(run_model(before, make_cpu_backend(1)), run_model(after, make_cpu_backend(1)));
}

TEST_P(Quantized, EveryTableWidthWorks) {
  for (int bits : {4, 6, 8, 16}) {
    const ModelData m = quantized(model(), recipe(), bits);
    for (float v : run_model(m, make_cpu_backend(1))) ASSERT_TRUE(std::isfinite(v)) << bits;
  }
}

// A sequence gives the same bits alone and among others, whatever the number of threads.
TEST_P(Quantized, NeighboursAndThreadsChangeNothing) {
  const ModelData m = quantized(model(), recipe());
  const std::vector<int32_t> lengths = {17, 1, 33, 5};
  std::vector<std::vector<float>> alone;
  for (int threads : {1, 2}) {
    Executor executor(m.graph, make_cpu_backend(threads), {.max_tokens = 64, .max_selected = 64, .max_sequences = 4});
    std::vector<int32_t> ids;
    std::vector<Segment> segments;
    for (size_t s = 0; s < lengths.size(); ++s) {
      const std::vector<int32_t> mine = random_ids(lengths[s], m.vocab_size, s);
      segments.push_back({static_cast<int32_t>(ids.size()), lengths[s], static_cast<int32_t>(3 - s)});
      ids.insert(ids.end(), mine.begin(), mine.end());
    }
    executor.run(ids, segments);
    for (size_t s = 0; s < lengths.size(); ++s) {
      const int32_t last = segments[s].begin + segments[s].length - 1;
      const float* row = executor.logits({&last, 1});
      const std::vector<float> together(row, row + executor.table_rows());
      Executor single(m.graph, make_cpu_backend(1), {.max_tokens = 64, .max_selected = 64});
      const Segment segment{0, lengths[s], 0};
      single.run(random_ids(lengths[s], m.vocab_size, s), {&segment, 1});
      const int32_t at = lengths[s] - 1;
      const float* own = single.logits({&at, 1});
      EXPECT_EQ(together, std::vector<float>(own, own + single.table_rows())) << "sequence " << s;
      EXPECT_EQ(executor.save_state(static_cast<int32_t>(3 - s)), single.save_state(0)) << "sequence " << s;
    }
  }
}

TEST_P(Quantized, SavedStatesContinueBitForBit) {
  const ModelData m = quantized(model(), recipe());
  Executor executor(m.graph, make_cpu_backend(1), {.max_tokens = 64, .max_selected = 1, .max_sequences = 2});
  const std::vector<int32_t> ids = random_ids(40, m.vocab_size, 5);
  const Segment first{0, 30, 0}, rest{0, 10, 0}, moved{0, 10, 1};
  executor.run({ids.data(), 30}, {&first, 1});
  const std::vector<std::byte> saved = executor.save_state(0);
  const int32_t last = 9;
  executor.run({ids.data() + 30, 10}, {&rest, 1});
  const float* row = executor.logits({&last, 1});
  const std::vector<float> want(row, row + executor.table_rows());
  executor.load_state(1, saved);
  executor.run({ids.data() + 30, 10}, {&moved, 1});
  row = executor.logits({&last, 1});
  EXPECT_EQ(std::vector<float>(row, row + executor.table_rows()), want);
  EXPECT_THROW(executor.load_state(0, {saved.data(), saved.size() - 1}), Error);
}

std::string case_name(const ::testing::TestParamInfo<std::tuple<const char*, const char*>>& parameter) {
  std::string name = std::string(std::get<0>(parameter.param)) + "_" + std::get<1>(parameter.param);
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Quantized,
                         ::testing::Combine(::testing::ValuesIn(kModels), ::testing::Values("w8a8", "w4a8", "w4a16")),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Other, Quantized,
                         ::testing::Combine(::testing::Values("mamba2-groups4-odd", "falcon-mamba"),
                                            ::testing::Values("w4ax", "w8a8_paper", "w4a8_paper")),
                         case_name);

TEST(Pipeline, FoldKeepsTheFunctionOfEveryModel) {
  for (const char* name : kModels) {
    const ModelData before = load_model(testing::source_path(std::string("tests/golden/") + name));
    Calibration calibration(make_cpu_backend(1), {random_ids(64, before.vocab_size, 1)});
    EXPECT_LE(largest_move(before, after(Recipe{"fold", {}}.then(fold_norms()), before, &calibration)), 2e-6) << name;
  }
}

// Every pass that may not change the function, one after the other, over every model that takes them: weights in f32 are
// rounded once a pass, so the bound grows with their number.
TEST(Pipeline, FloatPassesKeepTheLogits) {
  for (const char* name : kModels) {
    const ModelData before = load_model(testing::source_path(std::string("tests/golden/") + name));
    Calibration calibration(make_cpu_backend(1), {random_ids(64, before.vocab_size, 1)});
    Recipe all = Recipe{"float", {}}.then(fold_norms()).then(rotate_residual()).then(cluster_channels(2));
    all.passes.push_back(separate_x_proj());
    all.passes.push_back(rotate_inner());
    EXPECT_LE(largest_move(before, after(all, before, &calibration)), 1e-5) << name;
    Recipe untied = Recipe{"untied", {}}.then(untie_head()).then(fold_norms()).then(rotate_residual());
    EXPECT_LE(largest_move(before, after(untied, before, &calibration)), 1e-5) << name;
  }
}

// A label that is missing is a pass that changes the function, and is caught.
TEST(Pipeline, RotationWithoutALabelIsCaught) {
  ModelData model = load_model(testing::source_path("tests/golden/mamba2-hf"));
  const int32_t w = model.graph.find_weight("backbone.layers.1.mixer.out_proj.weight");
  model.graph.weights[static_cast<size_t>(w)].axes.clear();
  Calibration calibration(make_cpu_backend(1), {random_ids(64, model.vocab_size, 1)});
  EXPECT_THROW(run_recipe(Recipe{"x", {}}.then(fold_norms()).then(rotate_residual()), model, &calibration, {}), Error);
}

TEST(Pipeline, ClusteringAfterTheOnlineHadamardIsRefused) {
  const ModelData model = load_model(testing::source_path("tests/golden/mamba2-hf"));
  Calibration calibration(make_cpu_backend(1), {random_ids(64, model.vocab_size, 1)});
  EXPECT_THROW(run_recipe(Recipe{"x", {}}.then(rotate_inner()).then(cluster_channels(2)), model, &calibration, {}),
               Error);
}

FormatRules no_rules() {
  return {[](const std::string&, int64_t) { return std::optional<Format>(); },
          [](const std::string&, bool, int64_t) { return std::optional<ActivationTarget>(); },
          [](const std::string&, int64_t) { return std::optional<ActivationTarget>(); }};
}

TEST(Pipeline, WrongOrderNamesTheMissingPass) {
  ModelData model = load_model(testing::source_path("tests/golden/mamba2-hf"));
  Calibration calibration(make_cpu_backend(1), {random_ids(64, model.vocab_size, 1)});
  const FormatRules nothing = no_rules();
  const Recipe wrong =
      Recipe{"wrong", {}}.then(set_formats(nothing)).then(encode_activations()).then(observe_formats(true));
  try {
    run_recipe(wrong, model, &calibration, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("observe_formats"), std::string::npos) << e.what();
  }
  // Folding after the ranges were measured makes them stale.
  const Recipe stale = Recipe{"stale", {}}
                           .then(set_formats(nothing))
                           .then(observe_formats(true))
                           .then(fold_norms())
                           .then(encode_activations());
  EXPECT_THROW(run_recipe(stale, model, &calibration, {}), Error);
}

TEST(Pipeline, APassThatChangesTheFunctionIsCaught) {
  ModelData model = load_model(testing::source_path("tests/golden/mamba2-hf"));
  Calibration calibration(make_cpu_backend(1), {});
  Pass bad{"bad", 0, 0, 0, true, [](QuantPart& part, PassContext&) {
             const int32_t id = part.graph.find_weight("backbone.layers.1.mixer.D");
             if (id == kNone) return;
             Weight& w = part.graph.weights[static_cast<size_t>(id)];
             std::vector<float> d = decode_weight(w);
             d[0] += 1.0f;
             w = make_float_weight(w.name, w.values.shape(), d);
           }};
  EXPECT_THROW(run_recipe(Recipe{"bad", {}}.then(bad), model, &calibration, {}), Error);
}

TEST(Pipeline, NonFiniteActivationsAreNamed) {
  ModelData model = load_model(testing::source_path("tests/golden/mamba2-hf"));
  Weight& w =
      model.graph.weights[static_cast<size_t>(model.graph.find_weight("backbone.layers.1.mixer.out_proj.weight"))];
  std::vector<float> huge = decode_weight(w);
  for (float& v : huge) v = 3e38f;
  w = make_float_weight(w.name, w.values.shape(), huge);
  Calibration calibration(make_cpu_backend(1), {random_ids(64, model.vocab_size, 1)});
  FormatRules rules = no_rules();
  rules.edge = [](const std::string& role, bool, int64_t) -> std::optional<ActivationTarget> {
    Format f;
    f.storage = DType::kI8;
    f.levels = 1;
    if (role != "u") return std::nullopt;
    return ActivationTarget{f};
  };
  try {
    run_recipe(Recipe{"x", {}}.then(set_formats(rules)).then(observe_formats(true)), model, &calibration, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kRuntime);
    EXPECT_NE(std::string(e.what()).find("layers.1."), std::string::npos) << e.what();
  }
}

TEST(Pipeline, TiedModelsKeepOneTable) {
  const ModelData model = quantized("mamba1-pickle", "w4a16");
  const std::string path = join_path(testing::temporary_directory(), "tied");
  write_artifact(model, path, false);
  const Checkpoint written = load_checkpoint(path);
  EXPECT_EQ(written.tensors.count("lm_head.weight"), 0u);
  EXPECT_TRUE(load_model(path).tied);
}

}  // namespace
}  // namespace quamba2
