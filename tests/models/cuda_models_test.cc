// SPDX-License-Identifier: Apache-2.0
// Whole models on the GPU against the CPU on the same packed bits: logits as distributions, batches, states saved and
// restored, recordings. Small models are quantized here; QUAMBA2_GPU_MODELS names directories of larger ones (a:b:c).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "api/load_model.h"
#include "backend/executor.h"
#include "backends/cuda/cuda_backend.h"
#include "backends/cuda/runtime_api.h"
#include "backends/cuda/table.h"
#include "base/file.h"
#include "quamba2/tokenizer.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/cuda_device.h"
#include "support/model_runs.h"
#include "support/paths.h"
#include "support/shape_model.h"

namespace quamba2 {
namespace {

using testing::cuda_backend;
using testing::mean_kl;
using testing::random_ids;
using testing::run_model;
using testing::shape_model;

const char* const kModels[] = {"mamba1-pickle",      "mamba1-layernorm-fp16", "mamba2-hf",   "mamba2-groups2-bf16",
                               "mamba2-groups4-odd", "mamba2-dssm-nonorm",    "falcon-mamba"};

ModelData quantized(const std::string& name, const std::string& recipe) {
  const ModelData source = load_model(testing::source_path("tests/golden/" + name));
  if (recipe == "plain") return source;
  std::vector<std::vector<int32_t>> windows;
  for (uint64_t s = 0; s < 8; ++s) windows.push_back(random_ids(64, source.vocab_size, s));
  Calibration calibration(make_cpu_backend(1), windows);
  RecipeOptions options;
  options.table_bits = 16;                                      // see quantized_test.cc: integer tables give exact ties
  if (recipe == "w4a8") options.ingredients.f16_state = false;  // the other states are those of w4a8_f16
  const std::string base = recipe == "w4a8_f16" ? "w4a8" : recipe;
  return assemble(run_recipe(find_recipe(base).make(options, source), source, &calibration, {}), source.config,
                  source.directory);
}

int64_t rows_of(const ModelData& m) { return m.graph.edges[static_cast<size_t>(m.graph.logits)].columns; }

// Codes of 8 bits fall to either side of a tie where sums are rounded in another order, and a recurrence carries that on: two
// levels of the CPU differ so too. What they differ by on the same text is the measure where it is above 1e-3.
double limit(double own) { return std::max(1e-3, 2 * own); }

class CudaModels : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  ModelData model() const { return quantized(std::get<0>(GetParam()), std::get<1>(GetParam())); }
};

TEST_P(CudaModels, AgreesWithTheCpu) {
  const ModelData m = model();
  const std::vector<float> cpu = run_model(m, make_cpu_backend(2)), gpu = run_model(m, cuda_backend());
  const std::vector<float> scalar = run_model(m, make_cpu_backend(2, cpu_table("scalar")));
  EXPECT_LE(mean_kl(cpu, gpu, rows_of(m)), limit(mean_kl(cpu, scalar, rows_of(m))));
  // Twice on one executor's back end: nothing is left over from the first.
  EXPECT_EQ(run_model(m, cuda_backend()), gpu);
}

// Four sequences together, then token by token, each as on the CPU; the second and later steps are recordings.
TEST_P(CudaModels, BatchesAndStatesAgreeWithTheCpu) {
  const ModelData m = model();
  const PlanLimits limits = {.max_tokens = 128, .max_selected = 8, .max_sequences = 4};
  Executor gpu(m.graph, cuda_backend(), limits), cpu(m.graph, make_cpu_backend(2), limits);
  Executor scalar(m.graph, make_cpu_backend(2, cpu_table("scalar")), limits);
  const std::vector<int32_t> lengths = {17, 1, 33, 5};
  std::vector<int32_t> ids, last;
  std::vector<Segment> segments, single;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const std::vector<int32_t> mine = random_ids(lengths[s], m.vocab_size, s);
    segments.push_back({static_cast<int32_t>(ids.size()), lengths[s], static_cast<int32_t>(3 - s)});
    ids.insert(ids.end(), mine.begin(), mine.end());
    last.push_back(static_cast<int32_t>(ids.size()) - 1);
    single.push_back({static_cast<int32_t>(s), 1, static_cast<int32_t>(3 - s)});
  }
  const auto logits = [&](Executor* e, const std::vector<int32_t>& rows) {
    const float* p = e->logits(rows);
    return std::vector<float>(p, p + static_cast<int64_t>(rows.size()) * e->table_rows());
  };
  gpu.run(ids, segments);
  cpu.run(ids, segments);
  scalar.run(ids, segments);
  std::vector<float> a = logits(&gpu, last), b = logits(&cpu, last);
  EXPECT_LE(mean_kl(b, a, rows_of(m)), limit(mean_kl(b, logits(&scalar, last), rows_of(m))));
  const std::vector<int32_t> rows = {0, 1, 2, 3};
  std::vector<std::vector<std::byte>> saved;
  std::vector<float> again;
  constexpr int kSteps = 6;
  double steps_kl = 0, steps_own = 0;
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<int32_t> next = random_ids(4, m.vocab_size, 100 + static_cast<uint64_t>(step));
    gpu.run(next, single);
    cpu.run(next, single);
    scalar.run(next, single);
    a = logits(&gpu, rows), b = logits(&cpu, rows);
    steps_own += mean_kl(b, logits(&scalar, rows), rows_of(m)) / kSteps;
    steps_kl += mean_kl(b, a, rows_of(m)) / kSteps;
    if (step == 2) {
      for (int32_t slot = 0; slot < 4; ++slot) saved.push_back(gpu.save_state(slot));
    }
    if (step == 3) again = a;
  }
  EXPECT_LE(steps_kl, limit(steps_own));
  for (int32_t slot = 0; slot < 4; ++slot) gpu.load_state(slot, saved[static_cast<size_t>(slot)]);
  gpu.run(random_ids(4, m.vocab_size, 103), single);
  EXPECT_EQ(logits(&gpu, rows), again);
}

// Tokens that the GPU chooses and reads next are those that are likeliest by the logits, and a sequence may change its place.
TEST_P(CudaModels, ChoosesTheLikeliestTokens) {
  const ModelData m = model();
  for (int32_t sequences : {1, 4}) {
    const PlanLimits limits = {.max_tokens = 128, .max_selected = 8, .max_sequences = 4};
    Executor chooses(m.graph, cuda_backend(), limits), tells(m.graph, cuda_backend(), limits);
    TokenRule greedy;
    greedy.vocabulary = static_cast<int32_t>(m.vocab_size);
    std::vector<int32_t> ids = random_ids(sequences, m.vocab_size, 5), asked = ids, rows;
    std::vector<Segment> segments;
    for (int32_t s = 0; s < sequences; ++s) segments.push_back({s, 1, s}), rows.push_back(s);
    const std::vector<TokenRule> rules(rows.size(), greedy);
    for (int step = 0; step < 12; ++step) {
      chooses.run_and_choose(asked, segments, rows, rules);
      tells.run(ids, segments);
      const float* logits = tells.logits(rows);
      for (size_t r = 0; r < rows.size(); ++r) {
        ids[r] = static_cast<int32_t>(argmax(logits + static_cast<int64_t>(r) * rows_of(m), m.vocab_size));
        asked[r] = -1 - static_cast<int32_t>(r);
      }
      const std::span<const int32_t> chosen = chooses.take_chosen();
      ASSERT_EQ(std::vector<int32_t>(chosen.begin(), chosen.end()), ids) << "step " << step;
      if (step % 4 != 3) continue;
      std::reverse(ids.begin(), ids.end()), std::reverse(asked.begin(), asked.end());
      for (size_t r = 0; r < segments.size(); ++r) segments[r].slot = sequences - 1 - segments[r].slot;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaModels,
                         ::testing::Combine(::testing::ValuesIn(kModels),
                                            ::testing::Values("plain", "w4a16", "w4a8", "w4a8_f16", "w8a8")),
                         [](const auto& p) {
                           std::string name = std::string(std::get<0>(p.param)) + "_" + std::get<1>(p.param);
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(CudaModelShapes, OfPublishedModelsAgreeWithTheCpu) {
  for (const char* shape :
       {"mamba2-130m", "mamba2-370m", "mamba2-780m", "mamba2-2.7b", "mamba-130m", "mamba-370m", "mamba-2.8b"}) {
    for (const char* recipe : {"w4a8", "w4a16", "w8a8"}) {
      const ModelData m = shape_model(shape, recipe);
      const std::vector<float> cpu = run_model(m, make_cpu_backend(0)), gpu = run_model(m, cuda_backend());
      const std::vector<float> scalar = run_model(m, make_cpu_backend(0, cpu_table("scalar")));
      const double kl = mean_kl(cpu, gpu, rows_of(m)), own = mean_kl(cpu, scalar, rows_of(m));
      std::printf("  %s %s: mean KL %.3g, of the CPU's own levels %.3g\n", shape, recipe, kl, own);
      EXPECT_LE(kl, limit(own)) << shape << " " << recipe;
      EXPECT_EQ(run_model(m, cuda_backend()), gpu) << shape << " " << recipe << ": another run, other bits";
    }
  }
}

// Mamba1 decodes in fewer kernels than a plan has steps (backends/cuda/step_compile.h), which give the same bits.
TEST(CudaModelShapes, StepsTogetherGiveTheBitsOfStepsAlone) {
  const auto choose = [](const DeviceSpec& spec) -> const KernelTable& { return cuda_table(spec.architecture); };
  const std::shared_ptr<Backend> alone = make_cuda_backend(runtime_api(), 0, choose, nullptr);
  for (const char* shape : {"mamba-130m", "mamba-2.8b", "mamba-370m", "mamba-790m", "mamba-1.4b"}) {
    for (const char* recipe : {"w4a8", "w8a8"}) {
      for (const bool f16_state : {true, false}) {
        RecipeOptions options;
        options.ingredients.f16_state = f16_state;
        const ModelData m = shape_model(shape, recipe, options);
        const std::vector<float> steps = run_model(m, alone), together = run_model(m, cuda_backend());
        std::printf("  %s %s, f16 states %d: %s\n", shape, recipe, f16_state, steps == together ? "same" : "others");
        EXPECT_EQ(steps, together) << shape << " " << recipe << ", f16 states: " << f16_state << ", mean KL "
                                   << mean_kl(steps, together, rows_of(m));
      }
    }
  }
}

// Logits behind every token of a piece of text: a prompt, then single steps.
std::vector<float> read_text(const ModelData& m, const std::vector<int32_t>& ids,
                             std::shared_ptr<const Backend> backend) {
  constexpr int32_t kPiece = 64;
  Executor executor(m.graph, std::move(backend), {.max_tokens = kPiece, .max_selected = kPiece});
  std::vector<float> out;
  size_t at = 0;
  for (; at + kPiece + 32 <= ids.size(); at += kPiece) testing::append_logits(&executor, ids, at, kPiece, &out);
  for (; at < ids.size(); ++at) testing::append_logits(&executor, ids, at, 1, &out);
  return out;
}

TEST(CudaModelDirectories, AgreeWithTheCpuOnText) {
  const char* list = std::getenv("QUAMBA2_GPU_MODELS");
  if (!list) GTEST_SKIP() << "QUAMBA2_GPU_MODELS names no directories";
  std::istringstream paths(list);
  for (std::string path; std::getline(paths, path, ':');) {
    const ModelData m = load_model(path);
    const std::string text = read_file(testing::source_path("models/demo/eval.txt"), 1 << 20).substr(0, 4000);
    std::vector<int32_t> ids = Tokenizer::load(path)->encode(text, true);
    ids.resize(std::min<size_t>(ids.size(), 544));
    const std::vector<float> cpu = read_text(m, ids, make_cpu_backend(0)), gpu = read_text(m, ids, cuda_backend());
    const std::vector<float> scalar = read_text(m, ids, make_cpu_backend(0, cpu_table("scalar")));
    const double kl = mean_kl(cpu, gpu, rows_of(m)), own = mean_kl(cpu, scalar, rows_of(m));
    std::printf("  %s: mean KL %.3g over %zu positions; of the CPU's own levels %.3g\n", path.c_str(), kl, ids.size(),
                own);
    EXPECT_LE(kl, limit(own)) << path;
  }
}

}  // namespace
}  // namespace quamba2
