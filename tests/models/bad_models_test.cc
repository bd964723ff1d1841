// SPDX-License-Identifier: Apache-2.0
// Checkpoints that do not fit together: one error that names what and where, never a crash.
#include <gtest/gtest.h>

#include <limits>

#include "api/load_model.h"
#include "arch/registry.h"
#include "base/file.h"
#include "io/artifact.h"
#include "io/safetensors.h"
#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

struct Source {
  Json config;
  WeightMap weights;
};

Source source(const std::string& name) {
  const Checkpoint checkpoint = load_checkpoint(testing::source_path("tests/golden/" + name));
  return {checkpoint.config, read_artifact(checkpoint).weights};
}

// The message of the error that building the model gives; empty where it succeeds.
std::string failure(const Source& s, ErrorCode code = ErrorCode::kModelFile) {
  try {
    check_finite(build_model(s.config, s.weights, "test").graph);
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
}

bool mentions(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (text.find(word) == text.npos) return false;
  }
  return true;
}

TEST(BadModel, UnknownFamilyListsTheKnownOnes) {
  Source s = source("mamba2-hf");
  s.config.set("model_type", "llama");
  const std::string why = failure(s);
  EXPECT_TRUE(mentions(why, {"llama", "mamba2", "falcon_mamba"})) << why;
}

TEST(BadModel, EveryMissingTensorIsNamed) {
  for (const char* model : {"mamba1-hf-bf16", "mamba2-groups4-odd"}) {
    const Source whole = source(model);
    for (const auto& [name, weight] : whole.weights) {
      // Biases are optional; a missing norm ends the count of layers.
      if (name.find("bias") != name.npos) continue;
      Source s = whole;
      s.weights.erase(name);
      EXPECT_NE(failure(s), "") << name;
    }
  }
}

TEST(BadModel, NaNAndInfinityAreFoundInEveryTensor) {
  const Source whole = source("mamba2-hf");
  for (const auto& [name, weight] : whole.weights) {
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      Source s = whole;
      std::vector<float> values = decode_weight(weight);
      values.back() = bad;
      s.weights[name] = make_float_weight(name, weight.values.shape(), values);
      EXPECT_TRUE(mentions(failure(s), {name.c_str(), "NaN"})) << name;
    }
  }
}

TEST(BadModel, EveryCutDimensionIsRefused) {
  for (const char* model : {"mamba1-hf-bf16", "mamba2-groups4-odd", "falcon-mamba"}) {
    const Source whole = source(model);
    for (const auto& [name, weight] : whole.weights) {
      if (weight.values.dim(0) < 2) continue;
      Source s = whole;
      std::vector<int64_t> shape = weight.values.shape();
      shape[0] -= 1;
      std::vector<float> values = decode_weight(weight);
      int64_t elements = 1;
      for (int64_t d : shape) elements *= d;
      values.resize(static_cast<size_t>(elements));
      s.weights[name] = make_float_weight(name, shape, values);
      EXPECT_NE(failure(s), "") << model << " " << name;
    }
  }
}

TEST(BadModel, ConfigAgainstTensorsNamesBoth) {
  const struct {
    const char* key;
    int64_t value;
  } wrong[] = {{"hidden_size", 65}, {"num_hidden_layers", 4}, {"state_size", 32}, {"vocab_size", 5000},
               {"num_heads", 7},    {"head_dim", 3},          {"n_groups", 3},    {"conv_kernel", 2}};
  for (const auto& w : wrong) {
    Source s = source("mamba2-hf");
    s.config.set(w.key, w.value);
    const std::string why = failure(s);
    EXPECT_NE(why, "") << w.key;
  }
  Source s = source("mamba2-hf");
  s.config.set("num_hidden_layers", 4);
  EXPECT_TRUE(mentions(failure(s), {"says 4", "says 3"})) << failure(s);
}

TEST(BadModel, AbsurdNumbersInTheConfigAreRefused) {
  for (const char* key :
       {"hidden_size", "num_hidden_layers", "state_size", "conv_kernel", "head_dim", "n_groups", "vocab_size"}) {
    for (int64_t value : {int64_t{0}, int64_t{-1000}, int64_t{1} << 60}) {
      Source s = source("mamba2-hf");
      s.config.set(key, value);
      EXPECT_NE(failure(s), "") << key << " " << value;
    }
  }
  Source s = source("mamba2-hf");
  s.config.set("time_step_limit", Json(Json::Array{Json(1.0), Json(0.5)}));
  EXPECT_NE(failure(s), "");
  s.config.set("time_step_limit", Json("wide"));
  EXPECT_NE(failure(s), "");
}

TEST(BadModel, TokenizerThatDoesNotFitIsRefused) {
  // A vocabulary of 96 rows under a tokenizer of 8,192 ids.
  EngineOptions options;
  options.tokenizer = testing::source_path("models/demo");
  try {
    Engine::load(testing::source_path("tests/golden/mamba2-hf"), options);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kModelFile);
    EXPECT_TRUE(mentions(e.what(), {"8192", "96"})) << e.what();
  }
}

// A quantized directory whose parts were changed by hand.
class BadArtifact : public ::testing::Test {
 protected:
  void SetUp() override {
    Model model = Model::from_pretrained(testing::source_path("tests/golden/mamba2-hf"));
    quantize(model, {.recipe = "w4a16", .table_bits = 4, .skip = {"gptq"}});
    directory_ = join_path(testing::temporary_directory(), "q");
    model.save(directory_);
    whole_ = load_checkpoint(directory_);
  }
  std::string failure() const {
    try {
      ModelData model = build_model(whole_.config, read_artifact(whole_).weights, "test");
      apply_encodings(read_artifact(whole_), &model);
      return "";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kModelFile);
      return e.what();
    }
  }
  std::string directory_;
  Checkpoint whole_;
};

TEST_F(BadArtifact, TheUntouchedOneLoads) { EXPECT_EQ(failure(), ""); }

TEST_F(BadArtifact, MissingCompanionsAreNamed) {
  const std::map<std::string, Tensor> all = whole_.tensors;
  for (const auto& [name, tensor] : all) {
    whole_.tensors = all;
    whole_.tensors.erase(name);
    if (name.find("bias") == name.npos) {
      EXPECT_NE(failure(), "") << name;
    }
  }
}

TEST_F(BadArtifact, WrongShapesAndTypesAreRefused) {
  const std::map<std::string, Tensor> all = whole_.tensors;
  for (const auto& [name, tensor] : all) {
    if (name.find("_packed") == name.npos && name.find("_scale") == name.npos && name.find("_shape") == name.npos)
      continue;
    whole_.tensors = all;
    whole_.tensors[name] = Tensor(tensor.dtype(), {tensor.dim(0) + 1, 3});
    EXPECT_NE(failure(), "") << name;
    whole_.tensors[name] = Tensor(DType::kU8, {1});
    EXPECT_NE(failure(), "") << name;
  }
}

TEST_F(BadArtifact, ForeignQuantizationMethodsAreRefused) {
  Json foreign;
  foreign.set("quant_method", "gptq");
  whole_.config.set("quantization_config", foreign);
  EXPECT_TRUE(mentions(failure(), {"gptq"})) << failure();
}

TEST_F(BadArtifact, QuantizingTwiceIsRefused) {
  Model model = Model::from_pretrained(directory_);
  try {
    quantize(model, {.recipe = "w4a16"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUsage);
  }
}

}  // namespace
}  // namespace quamba2
