// SPDX-License-Identifier: Apache-2.0
// Models of random weights: known sizes, the same bytes for the same seed, and something that runs.
#include <gtest/gtest.h>

#include <cmath>

#include "arch/random_weights.h"
#include "base/file.h"
#include "io/safetensors.h"
#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

int64_t parameters(const std::string& name) {
  int64_t n = 0;
  for (const RandomTensor& t : random_model(name, 0).tensors) n += t.elements();
  return n;
}

TEST(RandomModel, HasTheSizeOfItsNamesake) {
  EXPECT_EQ(parameters("mamba-130m"), 129'135'360);  // as published
  const std::pair<const char*, double> rounded[] = {
      {"mamba-370m", 372e6},  {"mamba-790m", 793e6},  {"mamba-1.4b", 1.372e9},        {"mamba-2.8b", 2.768e9},
      {"mamba2-130m", 129e6}, {"mamba2-370m", 368e6}, {"mamba2-780m", 780e6},         {"mamba2-1.3b", 1.344e9},
      {"mamba2-2.7b", 2.7e9}, {"mamba2-8b", 8.24e9},  {"mamba-codestral-7b", 7.285e9}};
  for (const auto& [name, size] : rounded)
    EXPECT_NEAR(static_cast<double>(parameters(name)), size, 0.01 * size) << name;
}

TEST(RandomModel, ElementsDependOnSeedTensorAndPlaceAlone) {
  const RandomTensor tensor{"w", {100, 50}, DType::kBF16, Draw::kNormal, 2};
  std::vector<float> whole(5000), part(100), other(100);
  draw_elements(tensor, 7, 3, 0, whole);
  draw_elements(tensor, 7, 3, 2000, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 2000));
  for (const auto& [seed, index] : {std::pair<uint64_t, uint64_t>{8, 3}, {7, 4}}) {
    draw_elements(tensor, seed, index, 2000, other);
    EXPECT_NE(other, part);
  }
  double sum = 0, squares = 0;
  for (float v : whole) sum += v, squares += v * v;
  EXPECT_NEAR(sum / 5000, 0, 0.12);  // four standard errors
  EXPECT_NEAR(std::sqrt(squares / 5000), 2, 0.08);
}

void expect_range(const std::map<std::string, Tensor>& tensors, const std::string& name, double low, double high) {
  ASSERT_TRUE(tensors.count(name)) << name;
  const std::vector<float> values = to_floats(tensors.at(name));
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*least, low - 1e-3) << name;
  EXPECT_LE(*most, high + 1e-3) << name;
  EXPECT_GE(*most - *least, 0.5 * (high - low)) << name;
}

TEST(RandomModel, OneLayerRunsAndIsTheSameAgain) {
  const std::string folder = testing::temporary_directory();
  for (const std::string shape : {"mamba2-130m", "mamba-130m"}) {
    const std::string path = folder + "/" + shape;
    RandomModelOptions options{.shape = shape, .layers = 1, .seed = 5};
    const RandomModelReport report = write_random_model(path, options);
    EXPECT_EQ(report.layers, 1);
    EXPECT_THROW(write_random_model(path, options), Error);  // it is there
    const auto tensors = read_safetensors(path + "/model.safetensors");
    const std::string mixer = "backbone.layers.0.mixer.";
    expect_range(tensors, mixer + "A_log", 0, std::log(16.0));
    expect_range(tensors, mixer + "D", 1, 1);
    const double reach = 1 / std::sqrt(768.0);
    expect_range(tensors, mixer + "in_proj.weight", -reach, reach);
    // softplus of the bias lies between 0.001 and 0.1.
    expect_range(tensors, mixer + (shape == "mamba-130m" ? "dt_proj.bias" : "dt_bias"), std::log(std::expm1(0.001)),
                 std::log(std::expm1(0.1)));
    Engine engine = Engine::load(path);
    EXPECT_EQ(engine.tokenizer().decode(engine.tokenizer().encode("Caf\u00e9 \n<|endoftext|>")),
              "Caf\u00e9 \n<|endoftext|>");
    engine.feed(0, engine.tokenizer().encode("Any text at all."));
    for (float v : engine.logits(0)) ASSERT_TRUE(std::isfinite(v));
  }
  const std::string again = folder + "/again", first = folder + "/mamba2-130m";
  write_random_model(again, {.shape = "mamba2-130m", .layers = 1, .seed = 5});
  EXPECT_TRUE(read_file(again + "/model.safetensors") == read_file(first + "/model.safetensors"));
}

TEST(RandomModel, UnknownShapesAndTooManyLayersAreRefused) {
  EXPECT_THROW(random_model("mamba3-1b", 0), Error);
  EXPECT_THROW(random_model("mamba2-130m", 25), Error);
  EXPECT_EQ(random_model("mamba2-8b", 1).tensors.back().name, "lm_head.weight");
}

}  // namespace
}  // namespace quamba2
