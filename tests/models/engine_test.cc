// SPDX-License-Identifier: Apache-2.0
// The engine on the bundled model: what a user of the library sees.
#include <gtest/gtest.h>

#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

std::string demo() { return testing::source_path("models/demo"); }

const std::vector<std::string> kPrompts = {"It was a dark and", "The captain", "\"Where,\" said she, \"is the",
                                           "In the year 1850 the town of"};

TEST(EngineGenerate, PromptsTogetherGiveWhatEachGivesAlone) {
  SamplingOptions options;
  options.max_tokens = 24;
  for (double temperature : {0.0, 0.9}) {
    options.temperature = temperature;
    options.seed = 11;
    Engine alone = Engine::load(demo());
    Engine together = Engine::load(demo(), {.max_sequences = 3});  // fewer slots than prompts: one waits
    const std::vector<Completion> many = together.generate(kPrompts, options);
    ASSERT_EQ(many.size(), kPrompts.size());
    for (size_t i = 0; i < kPrompts.size(); ++i) {
      EXPECT_EQ(many[i].ids, alone.generate({kPrompts[i]}, options)[0].ids) << kPrompts[i];
    }
  }
}

TEST(EngineGenerate, StreamedPiecesAreTheText) {
  Engine engine = Engine::load(demo());
  SamplingOptions options;
  options.max_tokens = 40;
  options.temperature = 1;
  std::string streamed;
  const Completion c = engine.generate({kPrompts[0]}, options, [&](size_t, std::string_view piece) {
    streamed += piece;
    return true;
  })[0];
  EXPECT_EQ(streamed, c.text);
  EXPECT_EQ(c.ids.size(), 40u);
  EXPECT_EQ(c.finish, FinishReason::kLength);
}

TEST(EngineGenerate, StopStringsEndTheTextAndAreNotPartOfIt) {
  Engine engine = Engine::load(demo());
  SamplingOptions options;
  options.max_tokens = 60;
  const std::string whole = engine.generate({kPrompts[0]}, options)[0].text;
  const std::string stop = whole.substr(whole.size() / 2, 5);
  options.stop = {stop};
  const Completion c = engine.generate({kPrompts[0]}, options)[0];
  EXPECT_EQ(c.finish, FinishReason::kStop);
  EXPECT_EQ(c.text, whole.substr(0, whole.find(stop)));
}

TEST(EngineGenerate, TheSinkCanEndIt) {
  Engine engine = Engine::load(demo());
  int pieces = 0;
  const Completion c = engine.generate({kPrompts[0]}, {}, [&](size_t, std::string_view) { return ++pieces < 3; })[0];
  EXPECT_EQ(c.finish, FinishReason::kCancelled);
  EXPECT_EQ(pieces, 3);
}

TEST(EngineGenerate, NoTokensAskedNoTokensGiven) {
  Engine engine = Engine::load(demo());
  const Completion c = engine.generate({kPrompts[0]}, {.max_tokens = 0})[0];
  EXPECT_TRUE(c.ids.empty());
  EXPECT_TRUE(c.text.empty());
}

TEST(EngineState, ASavedStateContinuesBitForBit) {
  Engine engine = Engine::load(demo(), {.max_sequences = 2});
  const std::vector<int32_t> ids =
      engine.tokenizer().encode("The old house stood upon a hill above the sea, and nobody had lived there");
  engine.feed(0, {ids.data(), 9});
  const std::vector<std::byte> saved = engine.save_state(0);
  engine.feed(0, {ids.data() + 9, ids.size() - 9});
  engine.load_state(1, saved);
  engine.feed(1, {ids.data() + 9, ids.size() - 9});
  EXPECT_EQ(engine.logits(0), engine.logits(1));
  EXPECT_EQ(engine.save_state(0), engine.save_state(1));
  engine.reset(1);
  EXPECT_THROW(engine.logits(1), Error);
  EXPECT_THROW(engine.feed(2, ids), Error);
}

TEST(EngineOptionsCheck, WrongOnesAreUsageErrors) {
  EXPECT_THROW(Engine::load(demo(), {.device = "tpu"}), Error);
  EXPECT_THROW(Engine::load(demo(), {.threads = -1}), Error);
  EXPECT_THROW(Engine::load(demo(), {.max_sequences = 0}), Error);
  EXPECT_THROW(Engine::load(demo(), {.state_every = -1}), Error);
  EXPECT_THROW(Engine::load(demo(), {.max_tokens = -5, .tokenizer = ""}), Error);
  EXPECT_THROW(Engine::load(testing::source_path("no/such/model")), Error);
  Engine engine = Engine::load(demo());
  EXPECT_THROW(engine.generate({"x"}, {.top_p = 0}), Error);
  EXPECT_THROW(perplexity(engine, "short", {.window = 2048}), Error);
  EXPECT_THROW(perplexity(engine, "short", {.window = 1}), Error);
}

TEST(EngineQuantize, CalibrationTextIsChecked) {
  const auto attempt = [](QuantizeOptions options) {
    Model model = Model::from_pretrained(demo());
    try {
      quantize(model, options);
      return ErrorCode::kInternal;
    } catch (const Error& e) {
      return e.code();
    }
  };
  EXPECT_EQ(attempt({.recipe = "w8a8"}), ErrorCode::kUsage);
  EXPECT_EQ(attempt({.recipe = "w8a8", .calibration_text = "too short"}), ErrorCode::kUsage);
  EXPECT_EQ(attempt({.recipe = "w8a8", .calibration_text = std::string(5000, '\xff')}), ErrorCode::kUsage);
  EXPECT_EQ(attempt({.recipe = "w3a3"}), ErrorCode::kUsage);
  EXPECT_EQ(attempt({.recipe = "w4a16", .table_bits = 5}), ErrorCode::kUsage);
  EXPECT_EQ(attempt({.recipe = "w4a16", .stop_after = "nothing"}), ErrorCode::kUsage);
  EXPECT_EQ(attempt({.recipe = "w4a16", .skip = {"encode_weights"}}), ErrorCode::kUsage);
}

}  // namespace
}  // namespace quamba2
