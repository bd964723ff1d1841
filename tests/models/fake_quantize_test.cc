// SPDX-License-Identifier: Apache-2.0
// Quantizing on a device, on the fake: its kernels are the CPU's and plain loops, so that models must be those that the CPU
// makes, but for codes at ties of sums that are rounded in another order.
#include <cmath>
#include <functional>

#include "api/load_model.h"
#include "backends/cuda/cuda_backend.h"
#include "quamba2/error.h"
#include "quant/device_gptq.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/fake_device.h"
#include "support/host_rounding.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2::testing {
namespace {

const KernelTable& choose_fake(const DeviceSpec&) { return fake_table(); }

std::shared_ptr<Backend> fake_backend(FakeDeviceApi& api) {
  return make_cuda_backend(api, 0, choose_fake, nullptr, &fake_rounding());
}

std::shared_ptr<Backend> scalar() { return make_cpu_backend(1, cpu_table("scalar")); }

ModelData source_model(const std::string& name) { return load_model(source_path("tests/golden/" + name)); }

// Windows of several lengths: some end before others of the same call, one is read in two pieces.
std::vector<std::vector<int32_t>> windows_for(const ModelData& source) {
  std::vector<std::vector<int32_t>> out;
  for (int64_t length : {96, 33, 600, 64, 1}) out.push_back(random_ids(length, source.vocab_size, out.size()));
  return out;
}

struct Made {
  ModelData model;
  std::vector<PassReport> reports;
};

Made quantized(const ModelData& source, const std::string& recipe, bool paper, std::shared_ptr<Backend> device,
               const PipelineOptions& pipeline = {}) {
  const RecipeEntry& entry = find_recipe(recipe);
  RecipeOptions options;
  if (paper) options.ingredients = entry.paper;
  Calibration calibration(scalar(), windows_for(source), std::move(device));
  Made out;
  Artifact artifact = run_recipe(entry.make(options, source), source, &calibration, pipeline, &out.reports);
  out.model = assemble(std::move(artifact), source.config, source.directory);
  return out;
}

// How many codes and scales of the weights differ, of how many bytes there are.
std::pair<int64_t, int64_t> different_bytes(const ModelData& a, const ModelData& b) {
  std::pair<int64_t, int64_t> out = {0, 0};
  EXPECT_EQ(a.graph.weights.size(), b.graph.weights.size());
  for (size_t i = 0; i < a.graph.weights.size(); ++i) {
    const Weight &x = a.graph.weights[i], &y = b.graph.weights[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.format, y.format) << x.name;
    EXPECT_EQ(x.values.bytes(), y.values.bytes()) << x.name;
    const auto *p = static_cast<const uint8_t*>(x.values.data()), *q = static_cast<const uint8_t*>(y.values.data());
    for (size_t k = 0; k < x.values.bytes(); ++k) out.first += p[k] != q[k];
    out.second += static_cast<int64_t>(x.values.bytes());
  }
  return out;
}

void expect_same_ranges(const ModelData& a, const ModelData& b) {
  for (size_t e = 0; e < a.graph.edges.size(); ++e) {
    const Tensor &x = a.graph.edges[e].encoding.scales, &y = b.graph.edges[e].encoding.scales;
    ASSERT_EQ(x.bytes(), y.bytes()) << a.graph.edges[e].name;
    if (x.bytes() == 0) continue;
    for (int64_t i = 0; i < x.dim(0); ++i) {
      const double p = load_element(x.data(), x.dtype(), i), q = load_element(y.data(), y.dtype(), i);
      EXPECT_NEAR(p, q, 0.02 * std::fabs(q)) << a.graph.edges[e].name << " " << i;  // a step of bf16 is up to 0.8 %
    }
  }
}

class FakeQuantizing : public ::testing::TestWithParam<const char*> {};

// Plain rounding has no sums: every bit is the same. The ranges of static scales are the same too (bf16 steps apart where GPTQ's
// codes in an earlier layer differ).
TEST_P(FakeQuantizing, PlainRoundingGivesTheCodesOfTheCpu) {
  const ModelData source = source_model(GetParam());
  const PipelineOptions without{"", {"gptq"}, nullptr};
  for (const char* recipe : {"w4a16", "w4a8", "w8a8"}) {
    for (bool paper : {false, true}) {
      FakeDeviceApi api;
      const Made got = quantized(source, recipe, paper, fake_backend(api), without);
      const Made want = quantized(source, recipe, paper, nullptr, without);
      EXPECT_EQ(different_bytes(got.model, want.model).first, 0) << recipe << paper;
      EXPECT_EQ(run_model(got.model, scalar()), run_model(want.model, scalar())) << recipe << paper;
      EXPECT_EQ(api.live_blocks(), 0u) << recipe << ": not all was given back";
    }
  }
}

// GPTQ adds up in another order: codes differ at ties, and what they move. Few do, and the error of each layer is the same.
TEST_P(FakeQuantizing, GptqGivesTheCodesOfTheCpuButForTies) {
  const ModelData source = source_model(GetParam());
  for (const char* recipe : {"w4a16", "w4a8"}) {
    for (bool paper : {false, true}) {
      FakeDeviceApi api;
      const Made got = quantized(source, recipe, paper, fake_backend(api)),
                 want = quantized(source, recipe, paper, nullptr);
      const auto [different, bytes] = different_bytes(got.model, want.model);
      EXPECT_LE(static_cast<double>(different), 0.01 * static_cast<double>(bytes)) << recipe << paper;
      std::printf("  %s %s%s: %.3f %% of bytes differ\n", GetParam(), recipe, paper ? " (paper)" : "",
                  100.0 * static_cast<double>(different) / static_cast<double>(bytes));
      expect_same_ranges(got.model, want.model);
      ASSERT_EQ(got.reports.size(), want.reports.size());
      for (size_t i = 0; i < got.reports.size(); ++i) {
        const double error = want.reports[i].error;
        EXPECT_NEAR(got.reports[i].error, error, 0.01 * std::fabs(error)) << got.reports[i].part;
        ASSERT_EQ(got.reports[i].outliers.size(), want.reports[i].outliers.size());
      }
      EXPECT_EQ(api.live_blocks(), 0u) << recipe << ": not all was given back";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, FakeQuantizing, ::testing::Values("mamba2-hf", "mamba1-pickle"),
                         [](const auto& given) {
                           std::string name = given.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

std::string error_of(const std::function<void()>& run, ErrorCode code) {
  try {
    run();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// Memory that is missing is told before anything is taken, and a device that is lost in the middle ends the job.
TEST(FakeQuantizingTrouble, TroubleIsTold) {
  const ModelData source = source_model("mamba2-hf");
  {
    FakeDeviceApi api;
    const auto device = fake_backend(api);
    api.total_bytes = 100000;
    const std::string text = error_of([&] { quantized(source, "w4a16", false, device); }, ErrorCode::kResource);
    EXPECT_NE(text.find("are needed to quantize this model (calibration text "), std::string::npos) << text;
    EXPECT_EQ(api.calls["allocate"], 0);
  }
  for (const char* call : {"synchronize", "copy_to_host", "copy", "last_launch"}) {
    FakeDeviceApi api;
    const auto device = fake_backend(api);
    api.failing = call, api.failing_at = 20, api.failing_with = FakeDeviceApi::kLost;
    const std::string text = error_of([&] { quantized(source, "w4a16", false, device); }, ErrorCode::kResource);
    EXPECT_NE(text.find("the GPU was lost"), std::string::npos) << text;
  }
  FakeDeviceApi api;
  error_of([&] { quantized(source, "w4a16", false, make_cuda_backend(api, 0, choose_fake)); }, ErrorCode::kUsage);
}

// What a job takes of a device is what it said before, or less.
TEST(FakeQuantizingTrouble, MemoryIsWithinWhatWasTold) {
  const ModelData source = source_model("mamba2-hf");
  FakeDeviceApi api;
  const auto device = fake_backend(api);
  quantized(source, "w4a8", false, device);
  EXPECT_GT(device->device()->peak_bytes(), 0u);
  EXPECT_LT(device->device()->peak_bytes(), size_t{64} << 20);
}

// A NaN in the checkpoint is found where it becomes one.
TEST(FakeQuantizingTrouble, NumbersThatAreNotFiniteAreNamed) {
  ModelData source = source_model("mamba2-hf");
  for (Weight& w : source.graph.weights) {
    if (w.name.find("layers.1") == std::string::npos || w.name.find("out_proj") == std::string::npos) continue;
    std::vector<float> values = decode_weight(w);
    values[3] = NAN;
    const std::vector<Axis> axes = w.axes;
    w = make_float_weight(w.name, w.values.shape(), values);
    w.axes = axes;
  }
  FakeDeviceApi api;
  const PipelineOptions plain{"set_formats", {"fold_norms", "rotate_residual", "rotate_inner"}, nullptr};
  const std::string text =
      error_of([&] { quantized(source, "w8a8", false, fake_backend(api), plain); }, ErrorCode::kRuntime);
  EXPECT_NE(text.find("layers.1."), std::string::npos) << text;
}

}  // namespace
}  // namespace quamba2::testing
