// SPDX-License-Identifier: Apache-2.0
// Which models decode as one kernel (token_program.cuh). Compiling needs no GPU: plans are made on a fake device that says it is an
// H100, and the kernels that are launched meanwhile come to nothing.
#include "api/load_model.h"
#include "backends/cuda/cuda_backend.h"
#include "backends/cuda/table.h"
#include "backends/cuda/token_compile.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/fake_device.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2::testing {
namespace {

struct AnH100 : FakeDeviceApi {
  Status describe(int, DeviceSpec* spec) override {
    *spec = {"H100", 90, 132, 227 * 1024, total_bytes, size_t{50} << 20};
    return 0;
  }
};

struct Compiled {
  int asked = 0, made = 0, steps = 0;
};
Compiled compiled;

// A program that does nothing: there is no GPU to run it.
struct Nothing : Program {
  void run() override {}
};

std::unique_ptr<Program> count_compiled(ProgramSteps steps, Device& device, const DeviceSpec& spec, void* stream) {
  ++compiled.asked;
  if (!compile_token_program(steps, device, spec, stream)) return nullptr;
  ++compiled.made;
  compiled.steps += static_cast<int>(steps.size());
  return std::make_unique<Nothing>();
}

ModelData model_of(const std::string& directory, const std::string& recipe, bool f16_state) {
  const ModelData source = load_model(source_path(directory));
  if (recipe.empty()) return source;
  Calibration calibration(make_cpu_backend(1), {random_ids(64, source.vocab_size, 1)});
  RecipeOptions options;
  options.ingredients.f16_state = f16_state;
  return assemble(run_recipe(find_recipe(recipe).make(options, source), source, &calibration, {"", {"gptq"}}),
                  source.config, source.directory);
}

// Lists that were compiled when a model decodes `tokens` tokens at once: of body and head, two.
Compiled compile_all(const ModelData& m, int32_t sequences) {
  compiled = {};
  AnH100 api;
  const auto choose = [](const DeviceSpec&) -> const KernelTable& { return cuda_table(90); };
  Executor executor(m.graph, make_cuda_backend(api, 0, choose, count_compiled), {.max_tokens = 8, .max_sequences = 2});
  std::vector<Segment> segments;
  std::vector<int32_t> rows;
  for (int32_t i = 0; i < sequences; ++i) segments.push_back({i, 1, i}), rows.push_back(i);
  for (int call = 0; call < 3; ++call) {
    executor.run(random_ids(sequences, m.vocab_size, 1), segments);
    executor.logits(rows);
  }
  return compiled;
}

TEST(TokenProgram, TakesMamba2InEveryRecipe) {
  for (const char* directory : {"tests/golden/mamba2-hf", "tests/golden/mamba2-groups2-bf16", "models/demo"}) {
    for (const char* recipe : {"w4a8", "w4a16", "w8a8"}) {
      const ModelData m = model_of(directory, recipe, true);
      const Compiled all = compile_all(m, 1);
      EXPECT_EQ(all.asked, 2) << directory << " " << recipe;
      EXPECT_EQ(all.made, 2) << directory << " " << recipe;
      EXPECT_GT(all.steps, 5 * static_cast<int>(m.graph.states.size() / 2));
    }
  }
}

TEST(TokenProgram, LeavesOtherListsToRecordings) {
  const ModelData mamba2 = model_of("tests/golden/mamba2-hf", "w4a8", true);
  EXPECT_EQ(compile_all(mamba2, 2).made, 0) << "two sequences";
  EXPECT_EQ(compile_all(model_of("tests/golden/mamba2-hf", "w4a8", false), 1).made, 1) << "states of 8 bits: the head";
  EXPECT_EQ(compile_all(model_of("tests/golden/mamba1-pickle", "w4a8", true), 1).made, 1) << "Mamba1: the head";
}

}  // namespace
}  // namespace quamba2::testing
