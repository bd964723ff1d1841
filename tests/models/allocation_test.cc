// SPDX-License-Identifier: Apache-2.0
// Decoding allocates nothing: tokens after the first run in the memory that the plan has laid out. A program of its own,
// because operator new is replaced.
#include <gtest/gtest.h>

#include "allocation_count.h"
#include "api/load_model.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

ModelData quantized(const std::string& name, const std::string& recipe) {
  const ModelData source = load_model(testing::source_path("tests/golden/" + name));
  Calibration calibration(make_cpu_backend(1), {testing::random_ids(64, source.vocab_size, 1)});
  const Recipe made = find_recipe(recipe).make({}, source);
  return assemble(run_recipe(made, source, &calibration, {}), source.config, source.directory);
}

class Decoding : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Decoding, AllocatesNothing) {
  const auto [name, recipe] = GetParam();
  const ModelData model = quantized(name, recipe);
  Executor executor(model.graph, make_cpu_backend(2), {.max_tokens = 16, .max_selected = 4, .max_sequences = 4});
  const std::vector<int32_t> ids = testing::random_ids(4, model.vocab_size, 2), rows = {0, 1, 2, 3};
  const std::vector<Segment> segments = {{0, 1, 2}, {1, 1, 0}, {2, 1, 3}, {3, 1, 1}};
  for (int warm = 0; warm < 2; ++warm) {
    executor.run(ids, segments);
    executor.logits(rows);
  }
  const int before = testing::allocations();
  for (int t = 0; t < 5; ++t) {
    executor.run(ids, segments);
    executor.logits(rows);
  }
  EXPECT_EQ(testing::allocations() - before, 0);
  ASSERT_GT(before, 0) << "nothing was counted";
}

INSTANTIATE_TEST_SUITE_P(Recipes, Decoding,
                         ::testing::Values(std::pair{"mamba2-hf", "w8a8"}, std::pair{"mamba2-hf", "w4a8"},
                                           std::pair{"mamba2-hf", "w4a16"}, std::pair{"falcon-mamba", "w4a8"}));

}  // namespace
}  // namespace quamba2
