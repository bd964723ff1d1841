// SPDX-License-Identifier: Apache-2.0
// Trained checkpoints against their reference figures (float64, one step a token): token ids, likelihoods, logits,
// perplexities. Importer, tokenizer and engine are right when these agree.
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

constexpr double kNllBound = 1e-4;         // of one prediction, in f32
constexpr double kPerplexityBound = 2e-4;  // relative

struct Case {
  const char* model;  // in shared/models, or "" for the bundled one
  const char* name;
};

std::string model_path(const Case& c) {
  return *c.model ? testing::shared_path(std::string("models/") + c.model) : testing::source_path("models/demo");
}

// The texts are named relative to the shared folder; the bundled model's own text is in the repository.
std::string text_path(const Case& c, const std::string& named) {
  if (!*c.model && base_name(named) == "eval.txt") return testing::source_path("models/demo/eval.txt");
  return testing::shared_path(named);
}

std::vector<double> doubles(const Json& list) {
  std::vector<double> out;
  for (const Json& v : list.as_array("list")) out.push_back(v.as_double("list"));
  return out;
}

class TrainedModel : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (model_path(GetParam()).empty())
      GTEST_SKIP() << "needs shared/models/" << GetParam().model << ", which is absent";
    reference_ = Json::parse(read_file(join_path(model_path(GetParam()), "reference.json")), "reference.json");
  }
  const Json::Array& runs() const { return reference_.find("runs")->as_array("runs"); }

  Json reference_;
};

TEST_P(TrainedModel, FirstWindowAgrees) {
  Engine engine = Engine::load(model_path(GetParam()));
  int checked = 0;
  for (const Json& run : runs()) {
    const std::string path = text_path(GetParam(), run.get("text", ""));
    if (path.empty()) continue;
    const std::vector<int32_t> ids = engine.tokenizer().encode(read_file(path));
    EXPECT_EQ(static_cast<int64_t>(ids.size()), run.get("tokens", 0));
    const std::vector<double> want_ids = doubles(*run.find("first_window_ids"));
    for (size_t i = 0; i < want_ids.size(); ++i) ASSERT_EQ(ids[i], static_cast<int32_t>(want_ids[i])) << i;

    const std::vector<double> want = doubles(*run.find("first_window_nll"));
    const auto window = static_cast<int64_t>(want.size() + 1);
    const Perplexity p = perplexity(engine, read_file(path), {.window = window, .max_windows = 1});
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(p.first_window[i], want[i], kNllBound) << "prediction " << i;
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "needs the texts of shared/data, which are absent";
}

// Every perplexity of reference.json over the whole text, in f32.
void check_perplexities(const Case& c, const Json::Array& runs, bool whole) {
  Engine engine = Engine::load(model_path(c));
  for (const Json& run : runs) {
    const std::string path = text_path(c, run.get("text", ""));
    if (path.empty()) continue;
    for (const auto& [window, entry] : run.find("perplexity")->as_object("perplexity")) {
      const Perplexity p = perplexity(engine, read_file(path), {.window = std::stoll(window)});
      const double want = entry.get("value", 0.0);
      EXPECT_EQ(p.windows, entry.get("windows", 0));
      EXPECT_NEAR(p.perplexity, want, kPerplexityBound * want) << run.get("text", "") << ", window " << window;
      if (!whole) return;
    }
  }
}

TEST(BundledModel, PerplexityAgrees) {
  const Case demo{"", "demo"};
  const Json reference = Json::parse(read_file(join_path(model_path(demo), "reference.json")), "reference.json");
  check_perplexities(demo, reference.find("runs")->as_array("runs"), false);
}

class SlowTrainedModel : public TrainedModel {};
TEST_P(SlowTrainedModel, AllPerplexitiesAgree) { check_perplexities(GetParam(), runs(), true); }

const Case kCases[] = {
    {"", "demo"}, {"mamba2-67m", "mamba2_67m"}, {"mamba1-42m", "mamba1_42m"}, {"mamba1-tiny", "mamba1_tiny"}};
const auto kName = [](const auto& parameter) { return std::string(parameter.param.name); };
INSTANTIATE_TEST_SUITE_P(All, TrainedModel, ::testing::ValuesIn(kCases), kName);
INSTANTIATE_TEST_SUITE_P(Slow, SlowTrainedModel, ::testing::ValuesIn(kCases), kName);

}  // namespace
}  // namespace quamba2
