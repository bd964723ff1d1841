// SPDX-License-Identifier: Apache-2.0
// Every real model of the shared folder, read as a user would.
#include <gtest/gtest.h>

#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "quamba2/error.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

struct Expected {
  const char* path;
  const char* tensor;
  DType dtype;
  std::vector<int64_t> shape;
  float first, last;  // values, read by an independent Python script
  size_t tensors;
};

void PrintTo(const Expected& expected, std::ostream* out) { *out << expected.path; }

class SharedModel : public ::testing::TestWithParam<Expected> {};

TEST_P(SharedModel, LoadsWithShapesTypesAndValues) {
  const Expected& expected = GetParam();
  QUAMBA2_NEEDS_SHARED(expected.path);
  const Checkpoint model = load_checkpoint(testing::shared_path(expected.path));
  EXPECT_TRUE(model.config.is_object());
  EXPECT_EQ(model.files.size(), 1u);
  const auto found = model.tensors.find(expected.tensor);
  ASSERT_NE(found, model.tensors.end());
  EXPECT_EQ(found->second.dtype(), expected.dtype);
  EXPECT_EQ(found->second.shape(), expected.shape);
  const std::vector<float> values = to_floats(found->second);
  EXPECT_EQ(values.front(), expected.first);
  EXPECT_EQ(values.back(), expected.last);
  EXPECT_EQ(model.tensors.size(), expected.tensors);
  for (const auto& [name, tensor] : model.tensors) {
    if (tensor.elements() > 100000) continue;
    for (float v : to_floats(tensor)) ASSERT_EQ(v, v) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SharedModel,
    ::testing::Values(
        Expected{"golden/falcon-mamba",
                 "backbone.layers.0.mixer.in_proj.weight",
                 DType::kF32,
                 {192, 48},
                 -0.0652448832988739f,
                 0.05929435417056084f,
                 33},
        Expected{
            "golden/mamba1-hf-bf16", "backbone.embeddings.weight", DType::kBF16, {100, 64}, -1.5625f, 0.435546875f, 27},
        Expected{"golden/mamba1-layernorm-fp16",
                 "backbone.embedding.weight",
                 DType::kF16,
                 {64, 32},
                 -1.462890625f,
                 0.14404296875f,
                 23},
        Expected{"golden/mamba2-dssm-nonorm",
                 "backbone.layers.0.mixer.A_log",
                 DType::kF32,
                 {3},
                 1.279012680053711f,
                 1.3778942823410034f,
                 18},
        Expected{"golden/mamba2-groups2-bf16",
                 "backbone.layers.1.mixer.in_proj.weight",
                 DType::kBF16,
                 {388, 64},
                 -0.05859375f,
                 0.033447265625f,
                 20},
        Expected{"golden/mamba2-groups4-odd",
                 "backbone.layers.0.mixer.in_proj.bias",
                 DType::kF32,
                 {328},
                 -0.05249153450131416f,
                 -0.007733656093478203f,
                 25},
        Expected{"golden/mamba2-hf",
                 "backbone.layers.2.mixer.in_proj.weight",
                 DType::kF32,
                 {296, 64},
                 0.31105056405067444f,
                 0.1085548996925354f,
                 29},
        Expected{"models/demo-mamba2",
                 "backbone.layers.0.mixer.A_log",
                 DType::kF32,
                 {16},
                 1.893337607383728f,
                 1.5439379215240479f,
                 110},
        Expected{"models/mamba2-67m",
                 "backbone.embeddings.weight",
                 DType::kBF16,
                 {50288, 512},
                 0.0888671875f,
                 0.07763671875f,
                 218},
        Expected{"golden/mamba1-pickle",
                 "backbone.layers.1.mixer.in_proj.weight",
                 DType::kF32,
                 {192, 48},
                 0.03207182139158249f,
                 -0.30705127120018005f,
                 33},
        Expected{"models/mamba1-42m",
                 "backbone.embedding.weight",
                 DType::kBF16,
                 {50280, 384},
                 0.03271484375f,
                 0.03466796875f,
                 243},
        Expected{"models/mamba1-tiny",
                 "backbone.layers.11.mixer.A_log",
                 DType::kF32,
                 {384, 16},
                 -0.1363476663827896f,
                 2.754561424255371f,
                 123}));

TEST(SharedGolden, ExpectedLogitsAreRead) {
  QUAMBA2_NEEDS_SHARED("golden/mamba2-groups4-odd/expected.safetensors");
  const auto tensors = read_safetensors(testing::shared_path("golden/mamba2-groups4-odd/expected.safetensors"));
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("input_ids").dtype(), DType::kI64);
  EXPECT_EQ(tensors.at("input_ids").as<int64_t>()[0], 0x37);
  EXPECT_EQ(tensors.at("logits").dtype(), DType::kF64);
  EXPECT_EQ(tensors.at("logits").shape(), (std::vector<int64_t>{2, 70, 96}));
}

TEST(SharedGolden, TiedHeadSharesItsBytes) {
  QUAMBA2_NEEDS_SHARED("golden/mamba1-pickle");
  const Checkpoint model = load_checkpoint(testing::shared_path("golden/mamba1-pickle"));
  EXPECT_EQ(model.tensors.at("lm_head.weight").data(), model.tensors.at("backbone.embedding.weight").data());
}

}  // namespace
}  // namespace quamba2
